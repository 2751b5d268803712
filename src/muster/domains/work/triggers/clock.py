"""The clock: fires what is due and starts what was fired, in any number of processes at once.

A due time is fired by whoever moves the trigger's next time on, in the unit of work that inserts
the firing. A firing is started by whoever takes it up; whoever dies meanwhile is followed by
another, which starts the same run by its id.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.plans import Launcher
from muster.domains.work.triggers.cron import CronRule
from muster.domains.work.triggers.firing import (
    TOPIC,
    Cause,
    insert_firing,
    is_queued,
    is_under_way,
    row_of,
)
from muster.domains.work.triggers.models import PENDING, QUEUED, SKIPPED, Firing, Trigger
from muster.domains.work.triggers.starting import Starter
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.errors import AppError
from muster.kernel.live import LiveBus
from muster.kernel.logging import get_logger

_LONGEST_WAIT_S = 1.0
_SHORTEST_WAIT_S = 0.02
_RETRY_S = 2.0
_BATCH = 100
_WAITING = 1_000

logger = get_logger(__name__)


class TriggerClock:
    """Fires triggers of type `cron`, and starts what any trigger fired.

    Args:
        database: The database.
        live: The live bus.
        launcher: Starts runs.
        now: The time.
    """

    def __init__(
        self,
        database: Database,
        live: LiveBus,
        launcher: Launcher,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database, self._live, self._now = database, live, now
        self._starter = Starter(database, launcher, now=now)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        async with self._live.subscribe(TOPIC) as subscription:
            while True:
                try:
                    busy = await self.once()
                    wait = _SHORTEST_WAIT_S if busy else await self._until_next()
                except Exception:
                    logger.exception("trigger_clock_failed")
                    wait = _RETRY_S
                await subscription.get(wait)

    async def once(self) -> int:
        """Fire what is due and start what waits; returns how much of both there was."""
        fired = await self._fire_due()
        await self._release_queued()
        return fired + await self._starter.once()

    async def _until_next(self) -> float:
        query = select(func.min(Trigger.next_at)).where(Trigger.enabled)
        async with self._database.read() as session:
            due: datetime | None = await session.scalar(query)
        if due is None:
            return _LONGEST_WAIT_S
        left = (due - self._now()).total_seconds()
        return min(max(left, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)

    async def _fire_due(self) -> int:
        now = self._now()
        query = (
            select(Trigger.id)
            .where(Trigger.next_at <= now, Trigger.enabled)
            .order_by(Trigger.next_at)
            .limit(_BATCH)
        )
        async with self._database.read() as session:
            due = (await session.scalars(query)).all()
        fired = 0
        for trigger_id in due:
            try:
                async with self._database.write() as session:
                    fired += await self._fire(session, trigger_id)
            except AppError as error:
                # Its time zone is gone, for one; it must not keep the others waiting.
                await self._put_aside(trigger_id, error)
        return fired

    async def _fire(self, session: AsyncSession, trigger_id: str) -> int:
        now = self._now()
        query = select(Trigger).where(Trigger.id == trigger_id).with_for_update(skip_locked=True)
        trigger: Trigger | None = await session.scalar(query)
        due = trigger.next_at if trigger is not None else None
        if trigger is None or due is None or due > now or not trigger.enabled:
            return 0
        config = trigger.config
        rule = CronRule(config["cron"], config["timezone"])
        late_by = now - due
        missed = late_by > timedelta(seconds=config["misfire_grace_s"])
        if missed:
            # One for all of them, at the newest of the times that went by.
            due = max(due, rule.latest(now) or due)
        if not await self._move(session, trigger, rule.after(now if missed else due)):
            return 0
        status, reason = await self._may_start(session, trigger, missed=missed, late_by=late_by)
        cause = Cause(due_key=f"cron:{clock.iso(due)}", source="cron", due_at=due)
        row = row_of(trigger, cause, now, status=status, reason=reason)
        return int(await insert_firing(session, trigger, row))

    async def _move(
        self, session: AsyncSession, trigger: Trigger, next_at: datetime | None
    ) -> bool:
        moved = (
            update(Trigger)
            .where(Trigger.id == trigger.id, Trigger.next_at == trigger.next_at, Trigger.enabled)
            .values(next_at=next_at, updated_at=Trigger.updated_at)
            .returning(Trigger.id)
            .execution_options(synchronize_session=False)
        )
        return await session.scalar(moved) is not None

    async def _may_start(
        self, session: AsyncSession, trigger: Trigger, *, missed: bool, late_by: timedelta
    ) -> tuple[str, str | None]:
        reason = None
        if missed:
            reason = f"Late by {round(late_by.total_seconds())} s: nothing could fire meanwhile."
            if trigger.config["misfire"] == "skip":
                return SKIPPED, reason
        overlap = trigger.config["overlap"]
        if overlap == "allow" or not (
            await is_under_way(session, trigger.id) or await is_queued(session, trigger.id)
        ):
            return PENDING, reason
        if overlap == "skip":
            return SKIPPED, "The run before has not ended."
        if await is_queued(session, trigger.id):
            return SKIPPED, "The run before has not ended, and one waits for its end already."
        return QUEUED, "Waits for the end of the run before."

    async def _put_aside(self, trigger_id: str, error: AppError) -> None:
        logger.warning("trigger_cannot_fire", trigger_id=trigger_id, error=error.code)
        values: dict[str, Any] = {"next_at": None}
        async with self._database.write() as session:
            await session.execute(update(Trigger).where(Trigger.id == trigger_id).values(values))

    async def _release_queued(self) -> None:
        query = select(Firing.id, Firing.trigger_id).where(Firing.status == QUEUED).limit(_WAITING)
        async with self._database.read() as session:
            waiting = (await session.execute(query)).all()
            free = [
                firing.id
                for firing in waiting
                if not await is_under_way(session, firing.trigger_id)
            ]
        if not free:
            return
        values = {"status": PENDING, "launch_at": self._now(), "reason": None}
        released = update(Firing).where(Firing.id.in_(free), Firing.status == QUEUED)
        async with self._database.write() as session:
            await session.execute(released.values(values))
