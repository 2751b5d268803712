"""Starting the runs of firings: each is taken up for a while, and put down with what came of it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.triggers.firing import tell
from muster.domains.work.triggers.models import (
    FAILED,
    PENDING,
    SKIPPED,
    STARTED,
    Firing,
    Trigger,
)
from muster.domains.work.triggers.owners import caller_of
from muster.domains.work.triggers.targets import Launcher, Target
from muster.kernel.db import Database
from muster.kernel.errors import AppError, TooManyRequests
from muster.kernel.logging import get_logger

ORIGIN = "trigger"

_BATCH = 50
_AT_ONCE = 4
_LEASE = timedelta(seconds=120)
_ATTEMPTS = 8
_FIRST_WAIT_S = 2
_SERVER_FAULT = 500

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
        turns = asyncio.Semaphore(_AT_ONCE)

        async def start(firing: Firing) -> None:
            async with turns:
                await self._start(triggers[firing.trigger_id], firing)

        await asyncio.gather(*(start(firing) for firing in taken if firing.trigger_id in triggers))
        return len(taken)

    def _due(self) -> Any:
        return (
            select(Firing.id)
            .where(Firing.status == PENDING, Firing.launch_at <= self._now())
            .order_by(Firing.launch_at, Firing.id)
        )

    async def _take(self, session: AsyncSession) -> Sequence[Firing]:
        due = self._due().limit(_BATCH).with_for_update(skip_locked=True).cte("due")
        statement = (
            update(Firing)
            .where(Firing.id.in_(select(due.c.id)), Firing.status == PENDING)
            .values(launch_at=self._now() + _LEASE, attempts=Firing.attempts + 1)
            .returning(Firing)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return sorted((await session.scalars(statement)).all(), key=lambda firing: firing.id)

    async def _start(self, trigger: Trigger, firing: Firing) -> None:
        if not trigger.enabled and firing.source != "manual":
            await self._settle(trigger, firing, SKIPPED, "The trigger was disabled.")
            return
        target = Target(trigger.target_kind, trigger.target, trigger.definition)  # pyright: ignore[reportArgumentType]
        try:
            async with self._database.read() as session:
                caller = await caller_of(session, firing.starter_id, firing.project_id)
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
                await self._again(trigger, firing, error.detail)
            else:
                await self._settle(trigger, firing, FAILED, error.detail)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            logger.warning("trigger_cannot_start", error=type(error).__name__)
            await self._again(trigger, firing, "The platform could not start it.")
        except Exception:
            logger.exception("trigger_cannot_start", firing_id=firing.id)
            await self._again(trigger, firing, "The platform could not start it.")
        else:
            await self._settle(trigger, firing, STARTED, firing.reason)

    async def _again(self, trigger: Trigger, firing: Firing, reason: str) -> None:
        if firing.attempts >= _ATTEMPTS:
            await self._settle(trigger, firing, FAILED, reason)
            return
        wait = timedelta(seconds=_FIRST_WAIT_S * 2 ** (firing.attempts - 1))
        values = {"reason": reason, "launch_at": self._now() + wait}
        async with self._database.write() as session:
            await session.execute(_held(firing).values(values))

    async def _settle(
        self, trigger: Trigger, firing: Firing, status: str, reason: str | None
    ) -> None:
        now = self._now()
        values: dict[str, Any] = {"status": status, "reason": reason, "launch_at": None}
        if status == STARTED:
            values["fired_at"] = now
        async with self._database.write() as session:
            held = _held(firing).values(**values, updated_at=now).returning(Firing.id)
            if await session.scalar(held) is None:
                return  # another process has taken it up, and tells of it
            if status == STARTED:
                await session.execute(
                    update(Trigger)
                    .where(Trigger.id == trigger.id)
                    .values(last_at=now, updated_at=Trigger.updated_at)
                )
            told = {"id": firing.id, "run_id": firing.run_id, "source": firing.source}
            tell(session, trigger, {**told, "status": status, "reason": reason})


def _held(firing: Firing) -> Any:
    """Return the change of a firing that is still in these hands."""
    return (
        update(Firing)
        .where(
            Firing.id == firing.id,
            Firing.status == PENDING,
            Firing.attempts == firing.attempts,
        )
        .execution_options(synchronize_session=False)
    )
