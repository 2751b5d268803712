"""Secrets at the moment of a call, when no session may be held."""

from datetime import timedelta

from sqlalchemy import update

from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.platform.access import Caller
from muster.platform.vault.models import Secret
from muster.platform.vault.service import VaultService

_USE_NOTED_EVERY = timedelta(minutes=10)


class Vault:
    """Opens secrets for calls of models and tools; one for the process."""

    def __init__(self, database: Database, master_key: MasterKey) -> None:
        self._database, self._master_key = database, master_key

    async def value(self, project_id: str, reference: str) -> str:
        """Return a value in the clear, and note that it was used.

        Args:
            project_id: Where the secret lives.
            reference: Its id or name.

        Raises:
            SecretNotFound: There is no such secret.
            SecretNotSet: It has no value.
            SecretExpired: Its time is over.
        """
        async with self._database.read() as session:
            service = VaultService(session, Caller.system(project_id), self._master_key)
            secret = await service.get(reference)
            value = service.open(secret)
        limit = clock.now() - _USE_NOTED_EVERY
        if secret.last_used_at is None or secret.last_used_at < limit:
            await self._note_use(secret)
        return value

    async def _note_use(self, secret: Secret) -> None:
        async with self._database.write() as session:
            await session.execute(
                update(Secret)
                .where(Secret.id == secret.id)
                .values(last_used_at=clock.now(), updated_at=Secret.updated_at)
            )
