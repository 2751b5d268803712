"""Every query on the event log."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.chain import GENESIS
from muster.kernel.paging import Rows, paginate
from muster.platform.events.errors import EventNotFound
from muster.platform.events.models import EventChain, EventRecord
from muster.platform.events.patterns import matching

if TYPE_CHECKING:
    from muster.platform.events.schemas import AuditList, EventList


class EventRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def list(self, chain: str, params: "EventList") -> Rows[EventRecord]:
        """Return a page of one chain, in the order of its numbers."""
        query = _filtered(params).where(EventRecord.chain == chain)
        return await paginate(
            self.session,
            query,
            params,
            sort=(EventRecord.seq, params.order == "desc"),
            tiebreak=EventRecord.id,
        )

    async def audit(self, params: "AuditList") -> Rows[EventRecord]:
        """Return a page of all chains, in the order of time."""
        query = _filtered(params)
        if params.project_id is not None:
            query = query.where(EventRecord.chain == params.project_id)
        return await paginate(
            self.session,
            query,
            params,
            sort=(EventRecord.created_at, params.order == "desc"),
            tiebreak=EventRecord.id,
        )

    async def get(self, chain: str, id: str) -> EventRecord:
        found = await self.session.scalar(
            select(EventRecord).where(EventRecord.chain == chain, EventRecord.id == id)
        )
        if found is None:
            raise EventNotFound
        return found

    async def after(self, chain: str, seq: int, limit: int) -> Sequence[EventRecord]:
        """Return the next events after a number, in order."""
        statement = (
            select(EventRecord)
            .where(EventRecord.chain == chain, EventRecord.seq > seq)
            .order_by(EventRecord.seq)
            .limit(limit)
        )
        return (await self.session.scalars(statement)).all()

    async def newest(self, chain: str) -> int:
        """Return the number of the newest event, 0 for an empty chain."""
        statement = select(EventChain.seq).where(EventChain.chain == chain)
        return await self.session.scalar(statement) or 0

    async def ends(self, chain: str) -> tuple[int, str, int]:
        """Return number and hash that the head names, and the largest number of an event.

        One statement, so that both are of the same moment while others append.
        """
        head = select(EventChain.seq, EventChain.hash).where(EventChain.chain == chain).subquery()
        largest = select(func.max(EventRecord.seq)).where(EventRecord.chain == chain)
        statement = select(
            largest.scalar_subquery(),
            select(head.c.seq).scalar_subquery(),
            select(head.c.hash).scalar_subquery(),
        )
        last, seq, hash_ = (await self.session.execute(statement)).one()
        return seq or 0, hash_ or GENESIS, last or 0


def _filtered(params: "EventList") -> Select[EventRecord]:
    query = select(EventRecord)
    if params.type is not None:
        query = query.where(matching(EventRecord.type, params.type.split(",")))
    if params.subject_type is not None:
        query = query.where(EventRecord.subject_type == params.subject_type)
    if params.subject_id is not None:
        query = query.where(EventRecord.subject_id == params.subject_id)
    if params.actor_id is not None:
        query = query.where(EventRecord.actor_id == params.actor_id)
    if params.created_from is not None:
        query = query.where(EventRecord.created_at >= params.created_from)
    if params.created_to is not None:
        query = query.where(EventRecord.created_at <= params.created_to)
    if params.after_seq is not None:
        query = query.where(EventRecord.seq > params.after_seq)
    return query
