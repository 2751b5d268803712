"""What one can do with secrets."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import MISSING
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.crypto import MasterKey
from muster.kernel.ids import new_id
from muster.kernel.paging import Rows
from muster.platform.access import Caller
from muster.platform.events import Event, record
from muster.platform.vault.errors import SecretExpired, SecretNotFound, SecretNotSet
from muster.platform.vault.events import SecretCreated, SecretDeleted, SecretUpdated
from muster.platform.vault.models import Secret
from muster.platform.vault.repository import SecretRepository

if TYPE_CHECKING:
    from muster.platform.vault.schemas import SecretCreate, SecretList, SecretUpdate

_HINT_FROM = 12
_HINT = 4


async def usable_secrets(
    session: AsyncSession, project_id: str, references: Collection[str]
) -> set[str]:
    """Return those ids and names that stand for a value which has not expired."""
    return await SecretRepository(session, project_id).usable(references)


class VaultService:
    """The secrets of the caller's project, within one unit of work.

    A `reference` is a secret's id or else its name.
    """

    def __init__(self, session: AsyncSession, caller: Caller, master_key: MasterKey) -> None:
        self._session, self._caller, self._master_key = session, caller, master_key
        self._secrets = SecretRepository(session, caller.project_id)

    async def list(self, params: "SecretList") -> Rows[Secret]:
        return await self._secrets.search(params)

    async def get(self, reference: str) -> Secret:
        secret = await self._secrets.find_by_reference(reference)
        if secret is None:
            raise SecretNotFound(f"There is no secret {reference[:255]!r} in this project.")
        return secret

    async def get_value(self, reference: str) -> str:
        """Return a value in the clear, for a call that needs it; it must not leave the server."""
        return self.open(await self.get(reference))

    def open(self, secret: Secret) -> str:
        """Return the value of a secret in the clear."""
        if secret.has_expired:
            raise SecretExpired(f"The secret {secret.name!r} has expired. Give it a new value.")
        if (sealed := secret.sealed) is None:
            raise SecretNotSet(f"The secret {secret.name!r} has no value. Give it one.")
        return self._master_key.open(sealed, context=_context(secret.project_id, secret.id))

    async def exists(self, reference: str) -> bool:
        """Tell whether `get_value` would return a value."""
        return bool(await self._secrets.usable([reference]))

    async def set(
        self,
        name: str,
        value: str,
        *,
        service: str | None = None,
        description: str | None = None,
        expires_at: datetime | None = None,
    ) -> Secret:
        """Store a value under a name, in the place of what is there."""
        known = await self._secrets.find_by_reference(name)
        facts = {"service": service, "description": description, "expires_at": expires_at}
        if known is None:
            return await self._add(name, value, facts)
        return await self._change(known, {**facts, **self._seal(known.id, value)}, ["key"])

    async def create(self, body: "SecretCreate") -> Secret:
        facts = body.model_dump(include={"service", "description", "expires_at"})
        return await self._add(body.name, body.plain, facts)

    async def update(self, reference: str, body: "SecretUpdate") -> Secret:
        """Change the given fields."""
        secret = await self.get(reference)
        changes = body.model_dump(exclude={"key", "value"})
        changed = sorted(changes)
        if (plain := body.plain) is not MISSING:
            changes |= self._seal(secret.id, plain)
            changed = sorted([*changed, "key"])
        return await self._change(secret, changes, changed)

    async def delete(self, reference: str) -> None:
        secret = await self.get(reference)
        await self._secrets.delete(secret)
        self._record(SecretDeleted(secret_id=secret.id, name=secret.name))

    async def _add(self, name: str, value: str, facts: dict[str, Any]) -> Secret:
        secret_id = new_id()
        sealed = self._seal(secret_id, value)
        secret = await self._secrets.add(id=secret_id, name=name, **facts, **sealed)
        self._record(SecretCreated(secret_id=secret.id, name=name, service=secret.service))
        return secret

    async def _change(
        self, secret: Secret, changes: dict[str, Any], changed: Sequence[str]
    ) -> Secret:
        await self._secrets.update(secret, **changes)
        if changed:
            event = SecretUpdated(secret_id=secret.id, name=secret.name, changed=[*changed])
            self._record(event)
        return secret

    def _seal(self, secret_id: str, value: str | None) -> dict[str, Any]:
        if value is None:
            return dict.fromkeys(("key_id", "wrapped_key", "ciphertext", "hint"))
        sealed = self._master_key.seal(value, context=_context(self._caller.project_id, secret_id))
        return {
            "key_id": sealed.key_id,
            "wrapped_key": sealed.wrapped_key,
            "ciphertext": sealed.ciphertext,
            "hint": value[-_HINT:] if len(value) >= _HINT_FROM else None,
        }

    def _record(self, event: Event) -> None:
        record(self._session, self._caller, event)


def _context(project_id: str, secret_id: str) -> str:
    return f"{project_id}:{secret_id}"
