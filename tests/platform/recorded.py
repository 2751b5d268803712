"""Reading what was recorded."""

from sqlalchemy import select

from muster.entrypoints.assembly import Muster
from muster.platform.events import PLATFORM_CHAIN, EventRecord


async def recorded(muster: Muster, *types: str, chain: str = PLATFORM_CHAIN) -> list[EventRecord]:
    """Return the events of a chain in order, of the given types or of all."""
    statement = select(EventRecord).where(EventRecord.chain == chain).order_by(EventRecord.seq)
    if types:
        statement = statement.where(EventRecord.type.in_(types))
    async with muster.database.read() as session:
        return list((await session.scalars(statement)).all())
