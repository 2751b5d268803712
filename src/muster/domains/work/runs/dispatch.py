"""The dispatcher: gives runs to the engine whose moment has come, and runs that it lost.

A run is committed first and submitted right after; a process that dies between the two leaves a
pending run without a job. The same holds for a run whose job ended without ending the run.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import load_only

from muster.domains.catalogue.agents import EXTERNAL
from muster.domains.work.journal import IllegalRunMove, Run, RunAction, RunStatus
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.parts import RunParts
from muster.kernel import clock
from muster.kernel.background import repeat
from muster.kernel.logging import get_logger

_WAKE_EVERY_S = 1.0
_LOOK_EVERY_S = 5.0
_PENDING_FOR = timedelta(seconds=3)
_SILENT_FOR = timedelta(seconds=30)
_BATCH = 500
_PENDING = RunStatus.PENDING.value
_AT_WORK = (RunStatus.PREPARING.value, RunStatus.RUNNING.value, RunStatus.STOPPING.value)
# A run that another one has started is looked after by that. Said in a way that keeps databases
# from the index of parents: nearly all runs have none.
_IS_ROOT = func.coalesce(Run.parent_run_id, "") == ""
# The first of each project before the second of any: who has many runs holds up nobody.
_TURN = func.row_number().over(partition_by=Run.project_id, order_by=Run.created_at)
# What a run is made of can be large, and is not needed to give it to the engine.
_FOR_ITS_JOB = load_only(
    Run.project_id, Run.status, Run.priority, Run.segment, Run.fence, Run.wake_at
)

logger = get_logger(__name__)


class Dispatcher:
    """Looks for runs that nobody works on and somebody should."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(repeat(self.wake, every_s=_WAKE_EVERY_S, name="waking"))
            group.create_task(repeat(self.recover, every_s=_LOOK_EVERY_S, name="recovery"))

    async def wake(self) -> int:
        """Let the runs go on whose moment has come, also when people have not answered yet."""
        runs = await self._find(Run.wake_at <= clock.now(), order=[Run.wake_at])
        for run in runs:
            action = RunAction.REQUEUE if run.status == RunStatus.PENDING else RunAction.WAKE
            async with self._parts.database.write() as session:
                current = await session.get_one(Run, run.id)
                if (current.segment, current.wake_at) != (run.segment, run.wake_at):
                    continue
                with suppress(IllegalRunMove):
                    await lifecycle.requeue(
                        session, self._parts.engine, current, action, fence=run.fence
                    )
        return len(runs)

    async def recover(self) -> int:
        """Give every forgotten run to the engine; returns how many there were."""
        moment = clock.now()
        is_late = (Run.status == _PENDING) & (Run.updated_at < moment - _PENDING_FOR)
        runs = await self._find(
            Run.status.in_([_PENDING, *_AT_WORK]),
            Run.wake_at.is_(None),
            is_late | (Run.updated_at < moment - _SILENT_FOR),
            order=[Run.priority, _TURN, Run.created_at],
        )
        known = await self._parts.engine.known([run.job_id for run in runs])
        forgotten = [run for run in runs if run.job_id not in known]
        for run in forgotten:
            await self._again(run)
        return len(forgotten)

    async def _find(self, *conditions: ColumnElement[bool], order: Sequence[Any]) -> list[Run]:
        statement = (
            select(Run)
            .options(_FOR_ITS_JOB)
            .where(_IS_ROOT, Run.kind != EXTERNAL, *conditions)
            .order_by(*order)
            .limit(_BATCH)
        )
        async with self._parts.database.read() as session:
            return list(await session.scalars(statement))

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
