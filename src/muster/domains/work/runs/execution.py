"""The engine's handler for runs: takes a segment up and brings it to its end."""

import asyncio
from typing import Any

from muster.domains.work.journal import Run, RunAction
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.concluding import conclude
from muster.domains.work.runs.parts import RunParts
from muster.domains.work.runs.segments import Segment
from muster.engine import JobContext, Stop
from muster.kernel import metrics
from muster.kernel.logging import get_logger
from muster.platform.access import Caller

logger = get_logger(__name__)


class RunExecutor:
    """The engine's handler for runs."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts

    async def handle(self, job: JobContext) -> None:
        """Execute one segment of a run."""
        payload = job.job.payload
        async with self._parts.database.write() as session:
            run = await lifecycle.take_up(
                session, payload["run_id"], payload["segment"], job.executor_id
            )
        if run is None:
            return
        segment = self._parts.segment(run)
        metrics.RUNS_ACTIVE.inc()
        try:
            await conclude(segment)
        except asyncio.CancelledError:
            if job.stop in {Stop.CANCELLED, Stop.TIMEOUT}:
                await asyncio.shield(self._interrupted(segment))
            raise
        finally:
            metrics.RUNS_ACTIVE.dec()

    async def _interrupted(self, segment: Segment) -> None:
        """Record what was under way when the run was cancelled or stopped by force."""
        try:
            await segment.interrupted()
        except Exception:
            logger.exception("interrupted_run_not_recorded", run_id=segment.run.id)

    async def lost(self, job_id: str, payload: dict[str, Any]) -> None:
        """End a run whose process died, where the settings say that it is not to be resumed."""
        async with self._parts.database.write() as session:
            run = await session.get(Run, payload["run_id"])
            if run is None or run.is_final or run.job_id != job_id:
                return
            caller = Caller.system(run.project_id)
            await lifecycle.finish(
                session, caller, run, RunAction.CANCEL, reason=lifecycle.RESTARTED
            )
