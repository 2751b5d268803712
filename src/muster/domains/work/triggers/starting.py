"""Starting the runs of firings: each is taken up for a while, and put down with what came of it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.plans import Launcher, Target
from muster.domains.work.triggers.firing import tell
from muster.domains.work.triggers.models import (
    FAILED,
    PENDING,
    SKIPPED,
    STARTED,
    Firing,
    Trigger,
)
from muster.engine import Executor
from muster.kernel.db import Database
from muster.kernel.errors import AppError, TooManyRequests
from muster.kernel.logging import get_logger
from muster.platform.access import Caller
from muster.platform.projects import acting_caller

ORIGIN = "trigger"

_BATCH = 100
_AT_ONCE = 20
_LEASE = timedelta(seconds=120)
_ATTEMPTS = 8
_FIRST_WAIT_S = 2
_SERVER_FAULT = 500
_MAY_NOT = (
    "The person for whom it starts things may not start runs in this project any more; somebody "
    "who may has to save the trigger again."
)
_PLATFORM = "The platform could not start it."

_Change = tuple[str, str | None, int | None, datetime | None]

logger = get_logger(__name__)


class Starter:
    """Starts what was fired.

    Args:
        database: The database.
        launcher: Starts runs.
        now: The time.
    """

    def __init__(
        self, database: Database, launcher: Launcher, *, now: Callable[[], datetime]
    ) -> None:
        self._database, self._launcher, self._now = database, launcher, now

    async def once(self) -> int:
        """Start some of the firings that wait; returns how many were taken up."""
        async with self._database.read() as session:
            if await session.scalar(self._due().limit(1)) is None:
                return 0
        async with self._database.write() as session:
            taken = await self._take(session)
            ids = {firing.trigger_id for firing in taken}
            found = await session.scalars(select(Trigger).where(Trigger.id.in_(ids)))
            triggers = {trigger.id: trigger for trigger in found}
        callers = await self._callers({(one.starter_id, one.project_id) for one in taken})
        known = [firing for firing in taken if firing.trigger_id in triggers]
        for first in range(0, len(known), _AT_ONCE):
            together = known[first : first + _AT_ONCE]
            outcomes = await asyncio.gather(
                *(
                    self._start(
                        triggers[firing.trigger_id],
                        firing,
                        callers[firing.starter_id, firing.project_id],
                    )
                    for firing in together
                )
            )
            # One commit for several: whoever dies before it leaves them to be launched again.
            async with self._database.write() as session:
                await self._settle(session, outcomes)
        return len(taken)

    async def _callers(self, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Caller | None]:
        """Return those for whom runs are started; None for whoever may start none any more."""
        found: dict[tuple[str, str], Caller | None] = {}
        async with self._database.read() as session:
            for user_id, project_id in wanted:
                found[user_id, project_id] = await acting_caller(session, project_id, user_id)
        return found

    def _due(self) -> Any:
        # One of the processes that lived when it was taken up has died since. Should it be another
        # one that has it, the same run is launched twice, and is made once.
        died = exists().where(
            Executor.started_at <= Firing.fired_at, Executor.stopped_at >= Firing.fired_at
        )
        return (
            select(Firing.id)
            .where(Firing.status == PENDING, or_(Firing.launch_at <= self._now(), died))
            .order_by(Firing.launch_at, Firing.id)
        )

    async def _take(self, session: AsyncSession) -> Sequence[Firing]:
        now = self._now()
        due = self._due().limit(_BATCH).with_for_update(skip_locked=True).cte("due")
        statement = (
            update(Firing)
            .where(Firing.id.in_(select(due.c.id)), Firing.status == PENDING)
            .values(launch_at=now + _LEASE, fired_at=now, attempts=Firing.attempts + 1)
            .returning(Firing)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return sorted((await session.scalars(statement)).all(), key=lambda firing: firing.id)

    async def _start(self, trigger: Trigger, firing: Firing, caller: Caller | None) -> "_Outcome":
        """Start a run; says what came of it."""
        if not trigger.enabled and firing.source != "manual":
            return _Outcome(trigger, firing, SKIPPED, "The trigger was disabled.")
        if caller is None:
            return _Outcome(trigger, firing, FAILED, _MAY_NOT)
        return await self._launch(trigger, firing, caller)

    async def _launch(self, trigger: Trigger, firing: Firing, caller: Caller) -> "_Outcome":
        target = Target(trigger.target_kind, trigger.target, trigger.definition)  # pyright: ignore[reportArgumentType]
        try:
            await self._launcher.launch(
                caller,
                target,
                firing.inputs,
                run_id=firing.run_id,
                origin=ORIGIN,
                name=trigger.name,
            )
        except AppError as error:
            if error.status >= _SERVER_FAULT or isinstance(error, TooManyRequests):
                return self._again(trigger, firing, error.detail)
            return _Outcome(trigger, firing, FAILED, error.detail)
        except (SQLAlchemyError, OSError) as error:
            logger.warning("trigger_cannot_start", error=type(error).__name__)
            return self._again(trigger, firing, _PLATFORM)
        except Exception:
            logger.exception("trigger_cannot_start", firing_id=firing.id)
            return self._again(trigger, firing, _PLATFORM)
        return _Outcome(trigger, firing, STARTED, firing.reason)

    @staticmethod
    def _again(trigger: Trigger, firing: Firing, reason: str) -> "_Outcome":
        status = FAILED if firing.attempts >= _ATTEMPTS else PENDING
        return _Outcome(trigger, firing, status, reason)

    async def _settle(self, session: AsyncSession, outcomes: Sequence["_Outcome"]) -> None:
        now, alike = self._now(), defaultdict[_Change, list[_Outcome]](list)
        for outcome in outcomes:
            attempts = outcome.firing.attempts
            wait = _FIRST_WAIT_S * 2 ** (attempts - 1) if outcome.status == PENDING else None
            alike[outcome.status, outcome.reason, wait, outcome.firing.launch_at].append(outcome)
        started = set[str]()
        for (status, reason, wait, lease_end), those in alike.items():
            held = (
                update(Firing)
                .where(
                    Firing.id.in_([outcome.firing.id for outcome in those]),
                    Firing.status == PENDING,
                    # Whoever has taken it up since has written another end of the lease.
                    Firing.launch_at == lease_end,
                )
                .values(
                    status=status,
                    reason=reason,
                    launch_at=None if wait is None else now + timedelta(seconds=wait),
                    fired_at=now if status == STARTED else None,
                    updated_at=now,
                )
                .returning(Firing.id)
                .execution_options(synchronize_session=False)
            )
            settled = set(await session.scalars(held))
            for outcome in those:
                if outcome.firing.id in settled:
                    self._tell(session, outcome)
                    if status == STARTED:
                        started.add(outcome.trigger.id)
        for trigger_id in sorted(started):  # in one order: else two could wait for each other
            await session.execute(
                update(Trigger)
                .where(Trigger.id == trigger_id)
                .values(last_at=now, updated_at=Trigger.updated_at)
                .execution_options(synchronize_session=False)
            )

    @staticmethod
    def _tell(session: AsyncSession, outcome: "_Outcome") -> None:
        firing = outcome.firing
        told = {"id": firing.id, "run_id": firing.run_id, "source": firing.source}
        row = {**told, "status": outcome.status, "reason": outcome.reason}
        tell(session, outcome.trigger, row)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of an attempt to start a firing; pending is to be tried again."""

    trigger: Trigger
    firing: Firing
    status: str
    reason: str | None
