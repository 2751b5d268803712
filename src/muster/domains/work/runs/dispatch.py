"""The dispatcher: finds runs that the engine does not know, and gives them to it.

A run is committed first and submitted right after; a process that dies between the two leaves a
pending run without a job. The same holds for a run whose job ended without ending the run.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import select

from muster.domains.catalogue.agents import EXTERNAL
from muster.domains.work.journal import IllegalRunMove, Run, RunAction, RunStatus
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.parts import RunParts
from muster.kernel import clock
from muster.kernel.logging import get_logger

_INTERVAL_S = 1.0
_PENDING_FOR = timedelta(seconds=3)
_SILENT_FOR = timedelta(seconds=30)
_BATCH = 500
_ASLEEP = (RunStatus.PENDING.value, RunStatus.WAITING_FOR_APPROVAL.value)
_AT_WORK = (RunStatus.PREPARING, RunStatus.RUNNING, RunStatus.STOPPING)

logger = get_logger(__name__)


class Dispatcher:
    """Looks for forgotten runs every few seconds."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.once()
            except Exception:
                logger.exception("dispatch_failed")
            await asyncio.sleep(_INTERVAL_S)

    async def once(self) -> int:
        """Give every forgotten run to the engine; returns how many there were."""
        moment = clock.now()
        waiting = Run.status == RunStatus.PENDING.value
        at_work = Run.status.in_([status.value for status in _AT_WORK])
        async with self._parts.database.read() as session:
            statement = (
                select(Run)
                .where(
                    Run.parent_run_id.is_(None),
                    Run.kind != EXTERNAL,
                    (waiting & Run.wake_at.is_(None) & (Run.updated_at < moment - _PENDING_FOR))
                    | (Run.status.in_(_ASLEEP) & (Run.wake_at <= moment))
                    | (at_work & (Run.updated_at < moment - _SILENT_FOR)),
                )
                .order_by(Run.priority, Run.created_at)
                .limit(_BATCH)
            )
            runs = (await session.scalars(statement)).all()
        if not runs:
            return 0
        awake = [run for run in runs if run.wake_at is not None]
        for run in awake:
            await self._wake(run)
        known = await self._parts.engine.known([run.job_id for run in runs])
        forgotten = [run for run in runs if run.wake_at is None and run.job_id not in known]
        for run in forgotten:
            await self._again(run)
        return len(awake) + len(forgotten)

    async def _wake(self, run: Run) -> None:
        """Let a run go on whose moment has come, also when people have not answered yet."""
        action = RunAction.REQUEUE if run.status == RunStatus.PENDING else RunAction.WAKE
        async with self._parts.database.write() as session:
            current = await session.get_one(Run, run.id)
            if current.segment != run.segment or current.wake_at != run.wake_at:
                return
            with suppress(IllegalRunMove):
                await lifecycle.requeue(
                    session, self._parts.engine, current, action, fence=run.fence
                )

    async def _again(self, run: Run) -> None:
        engine = self._parts.engine
        if run.status == RunStatus.PENDING:
            await engine.submit(lifecycle.job_of(run))
            if await engine.known([run.job_id]):
                return
            # Its job had come to an end without the run being taken up, as happens when the
            # database is away in that moment. The engine knows a job for ever, so it needs another.
        async with self._parts.database.write() as session:
            current = await session.get_one(Run, run.id)
            if (current.segment, current.fence) != (run.segment, run.fence):
                return
            try:
                if run.status == RunStatus.STOPPING:
                    await lifecycle.requeue_stopping(session, engine, current, fence=run.fence)
                else:
                    await lifecycle.requeue(
                        session, engine, current, RunAction.REQUEUE, fence=run.fence
                    )
            except IllegalRunMove:
                return
        logger.warning("run_requeued", run_id=run.id)
