"""What the identity slice keeps for as long as the process lives."""

import asyncio
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import update

from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.settings import Settings
from muster.platform.identity.models import ApiKey
from muster.platform.identity.passwords import Passwords

if TYPE_CHECKING:
    from muster.platform.identity.access_tokens import AccessTokens

_USE_IS_STALE_AFTER = timedelta(minutes=1)


class KeyUsage:
    """Notes when keys were used: at most once a minute each, and no request waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noting: dict[str, asyncio.Task[None]] = {}

    def seen(self, key_id: str, last_used_at: datetime | None) -> None:
        """Note that a key was used now, unless the note that there is, is fresh."""
        fresh_since = clock.now() - _USE_IS_STALE_AFTER
        if key_id in self._noting or (last_used_at and last_used_at > fresh_since):
            return
        task = asyncio.create_task(self._note(key_id))
        self._noting[key_id] = task
        task.add_done_callback(lambda _: self._noting.pop(key_id, None))

    async def _note(self, key_id: str) -> None:
        async with self._database.write() as session:
            # Not a change of the key: `updated_at` stays.
            statement = update(ApiKey).where(ApiKey.id == key_id)
            await session.execute(
                statement.values(last_used_at=clock.now(), updated_at=ApiKey.updated_at)
            )

    async def aclose(self) -> None:
        """Wait for the notes that are being written."""
        await asyncio.gather(*self._noting.values(), return_exceptions=True)


class Credentials:
    """Passwords, tokens and the settings of sign-in."""

    def __init__(self, settings: Settings, master_key: MasterKey, database: Database) -> None:
        self.auth = settings.auth
        self.registration = settings.registration_mode
        self.passwords = Passwords(settings.auth.password_min_length)
        self.key_usage = KeyUsage(database)
        self._master_key = master_key

    @cached_property
    def access_tokens(self) -> "AccessTokens":
        """Makes and reads access tokens; their library is loaded for the first one."""
        from muster.platform.identity.access_tokens import AccessTokens

        return AccessTokens(self._master_key, self.auth.access_minutes)
