"""The check at start that the master key is the one the secrets were sealed with."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.platform.vault.errors import MasterKeyMismatch
from muster.platform.vault.models import KnownMasterKey, Secret


async def check_master_key(database: Database, master_key: MasterKey) -> None:
    """Remember the master key at its first use, and refuse one that cannot open the secrets.

    Raises:
        MasterKeyMismatch: Secrets exist that were sealed with another key.
    """
    async with database.read() as session:
        other = await session.scalar(
            select(Secret.key_id).where(Secret.key_id != master_key.id).limit(1)
        )
        known = await session.get(KnownMasterKey, master_key.id)
    if other is not None:
        raise MasterKeyMismatch(
            f"The secrets in this database were sealed with the master key {other}, not with "
            f"{master_key.id}. MUSTER_MASTER_KEY, or the file master.key in the data folder, must "
            "be the one from the time when they were stored: put it back, or restore it from the "
            "backup of the data folder."
        )
    if known is None:
        async with database.write() as session:
            await _remember(session, master_key.id)


async def _remember(session: AsyncSession, key_id: str) -> None:
    # Two processes may start at the same moment.
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    await session.execute(insert(KnownMasterKey).values(key_id=key_id).on_conflict_do_nothing())
