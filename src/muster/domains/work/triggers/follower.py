"""Following the event log: each event fires each trigger that wants it, once.

The place in the log moves in the unit of work that inserts what the events fired, if it is still
where the events were read from. So whatever ends or competes, no event is passed over or counted
twice.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.triggers.attribution import Origins
from muster.domains.work.triggers.filtering import about, wants
from muster.domains.work.triggers.firing import Cause, announce, insert_firings, row_of
from muster.domains.work.triggers.models import PENDING, SKIPPED, Firing, Trigger, TriggerCursor
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.kernel.logging import get_logger
from muster.platform.events import EventRecord

DEEPEST = 5
"""How many triggers may be fired by one another in a row."""

_BATCH = 500
_INTERVAL_S = 0.5
_RETRY_S = 2.0
_MINUTE = timedelta(minutes=1)

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events of a project behind a place in its log, and the triggers that may want them."""

    stored: int
    reached: int
    events: Sequence[EventRecord]
    triggers: Sequence[Trigger]
    origins: Origins
    recent: Mapping[str, int]


class EventFollower:
    """Fires triggers of type `event`.

    Args:
        database: The database.
        live: The live bus.
        now: The time.
    """

    def __init__(
        self, database: Database, live: LiveBus, *, now: Callable[[], datetime] = clock.now
    ) -> None:
        self._database, self._live, self._now = database, live, now

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            wait = _INTERVAL_S
            try:
                while await self.once():
                    pass
            except Exception:
                logger.exception("event_follower_failed")
                wait = _RETRY_S
            await asyncio.sleep(wait)

    async def once(self) -> int:
        """Go on in the log of each project by one batch; returns how many events were passed."""
        behind = exists().where(
            EventRecord.chain == TriggerCursor.project_id, EventRecord.seq > TriggerCursor.seq
        )
        wanted = exists().where(
            Trigger.project_id == TriggerCursor.project_id,
            Trigger.type == "event",
            Trigger.enabled,
        )
        query = select(TriggerCursor.project_id).where(behind, wanted)
        async with self._database.read() as session:
            projects = (await session.scalars(query)).all()
        return sum([await self._follow(project_id) for project_id in projects])

    async def _follow(self, project_id: str) -> int:
        async with self._database.read() as session:
            batch = await self._read(session, project_id)
        if batch is None:
            return 0
        rows = self._fired(batch)
        moved = (
            update(TriggerCursor)
            .where(TriggerCursor.project_id == project_id, TriggerCursor.seq == batch.stored)
            .values(seq=batch.reached)
            .returning(TriggerCursor.project_id)
        )
        async with self._database.write() as session:
            if await session.scalar(moved) is None:
                return 0  # another process was here
            held = select(Trigger.id).where(Trigger.id.in_({row["trigger_id"] for row in rows}))
            # A trigger may have been deleted meanwhile; one that is held stays until the commit.
            there = set(await session.scalars(held.order_by(Trigger.id).with_for_update(read=True)))
            rows = [row for row in rows if row["trigger_id"] in there]
            if rows:
                await insert_firings(session, {t.id: t for t in batch.triggers}, rows)
                announce(session, self._live)
        return len(batch.events) or 1

    async def _read(self, session: AsyncSession, project_id: str) -> _Batch | None:
        place = select(TriggerCursor.seq).where(TriggerCursor.project_id == project_id)
        stored: int | None = await session.scalar(place)
        if stored is None:
            return None
        enabled = select(Trigger).where(
            Trigger.project_id == project_id, Trigger.type == "event", Trigger.enabled
        )
        # What lies before all that is wanted is passed over without a look.
        oldest: int | None = await session.scalar(select(func.min(enabled.subquery().c.since_seq)))
        after = max(stored, oldest or 0)
        query = (
            select(EventRecord)
            .where(EventRecord.chain == project_id, EventRecord.seq > after)
            .order_by(EventRecord.seq)
            .limit(_BATCH)
        )
        found = (await session.scalars(query)).all()
        reached = found[-1].seq if found else after
        if reached == stored:
            return None
        # After the events: a trigger that was enabled before one of them is among these.
        triggers = (await session.scalars(enabled.order_by(Trigger.id))).all()
        mentioned = [event for event in found if any(wants(t, event) for t in triggers)]
        origins = await Origins.of(session, mentioned)
        recent = await self._recent(session, triggers)
        return _Batch(stored, reached, found, triggers, origins, recent)

    async def _recent(
        self, session: AsyncSession, triggers: Collection[Trigger]
    ) -> Mapping[str, int]:
        limited = [t.id for t in triggers if t.config["max_per_minute"] is not None]
        if not limited:
            return {}
        query = (
            select(Firing.trigger_id, func.count())
            .where(
                Firing.trigger_id.in_(limited),
                Firing.source == "event",
                Firing.status != SKIPPED,
                Firing.created_at > self._now() - _MINUTE,
            )
            .group_by(Firing.trigger_id)
        )
        return {row[0]: row[1] for row in await session.execute(query)}

    def _fired(self, batch: _Batch) -> list[dict[str, Any]]:
        now, rows = self._now(), list[dict[str, Any]]()
        counts = Counter(batch.recent)
        for event in batch.events:
            shown = about(event)
            for trigger in batch.triggers:
                if not wants(trigger, event, shown):
                    continue
                if batch.origins.caused(event, trigger.id):
                    continue
                depth = batch.origins.depth(event)
                limit = trigger.config["max_per_minute"]
                status, reason = PENDING, None
                if depth > DEEPEST:
                    status = SKIPPED
                    reason = f"More than {DEEPEST} triggers have fired one another in a row."
                elif limit is not None and counts[trigger.id] >= limit:
                    status, reason = SKIPPED, f"More than {limit} events in a minute."
                else:
                    counts[trigger.id] += 1
                cause = Cause(
                    due_key=f"event:{event.seq}",
                    source="event",
                    due_at=event.created_at,
                    variables={"event": shown},
                    event_seq=event.seq,
                    event_type=event.type,
                    depth=depth,
                )
                rows.append(row_of(trigger, cause, now, status=status, reason=reason))
        return rows
