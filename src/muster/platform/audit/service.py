"""The audit log of a process: it makes checkpoints, when asked and from time to time."""

import asyncio
import random

from sqlalchemy import column, func, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.background import repeat
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.errors import AppError
from muster.kernel.logging import get_logger
from muster.platform.audit.growing import advance
from muster.platform.audit.keys import SigningKey, signing_key
from muster.platform.audit.models import AuditCheckpoint, AuditTree
from muster.platform.events import EventRecord

CHECKPOINT_EVERY_S = 300.0

# Chains have one row each here; to find them among the events would read the whole log.
_HEADS = table("event_chains", column("chain"), column("seq"))

logger = get_logger(__name__)


class AuditLog:
    """Makes checkpoints of chains of events; one for the process.

    Args:
        database: The database.
        master_key: What the private key of the checkpoints is sealed with.
    """

    def __init__(self, database: Database, master_key: MasterKey) -> None:
        self.database, self._master_key = database, master_key
        self._key: SigningKey | None = None

    async def key(self) -> SigningKey:
        """Return the pair of keys that checkpoints are signed with now."""
        if self._key is None:
            self._key = await signing_key(self.database, self._master_key)
        return self._key

    async def checkpoint(self, chain: str) -> AuditCheckpoint:
        """Return a checkpoint of all events of a chain; makes it when there are newer ones.

        Raises:
            AuditLogBroken: The events do not continue those of the last checkpoint.
            AuditLogEmpty: There is no event.
        """
        key = await self.key()
        async with self.database.read() as session:
            known = await newest_checkpoint(session, chain)
            if known is not None and known.size == await newest_event(session, chain):
                return known
        made: str | None = None
        while made is None:
            made = await self.database.transact(lambda connection: advance(connection, chain, key))
        async with self.database.read() as session:
            return await session.get_one(AuditCheckpoint, made)

    async def run(self) -> None:
        """Make checkpoints from time to time, until cancelled."""
        # Spread out: processes that started together do not all look at once.
        every_s = CHECKPOINT_EVERY_S * random.uniform(0.8, 1.2)  # noqa: S311
        await asyncio.sleep(every_s)
        await repeat(self.checkpoint_all, every_s=every_s, name="audit_checkpoints")

    async def checkpoint_all(self) -> None:
        """Make checkpoints of all chains that have grown since their last one."""
        for chain in await self._grown():
            try:
                await self.checkpoint(chain)
            except AppError as error:
                logger.error("audit_checkpoint_refused", chain=chain, reason=error.detail)  # noqa: TRY400

    async def _grown(self) -> list[str]:
        newest = (
            select(func.max(AuditCheckpoint.size))
            .where(AuditCheckpoint.chain == _HEADS.c.chain)
            .scalar_subquery()
        )
        statement = (
            select(_HEADS.c.chain)
            # Not only larger ones: a head that was set back is what somebody should hear of.
            .where(_HEADS.c.seq > 0, _HEADS.c.seq != func.coalesce(newest, 0))
            .order_by(_HEADS.c.chain)
        )
        async with self.database.read() as session:
            return list(await session.scalars(statement))


async def newest_event(session: AsyncSession, chain: str) -> int:
    """Return the largest number of an event of a chain, 0 for none."""
    statement = select(func.max(EventRecord.seq)).where(EventRecord.chain == chain)
    return await session.scalar(statement) or 0


async def newest_checkpoint(session: AsyncSession, chain: str) -> AuditCheckpoint | None:
    """Return the last checkpoint of a chain."""
    found: AuditCheckpoint | None = await session.scalar(
        select(AuditCheckpoint)
        .where(AuditCheckpoint.chain == chain)
        .order_by(AuditCheckpoint.size.desc())
        .limit(1)
    )
    return found


async def tree_size(session: AsyncSession, chain: str) -> int:
    """Return how many events are in the tree of a chain."""
    return await session.scalar(select(AuditTree.size).where(AuditTree.chain == chain)) or 0
