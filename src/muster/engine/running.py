"""The jobs that this process executes at the moment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from muster.engine.capacity import Capacity
from muster.engine.jobs import Job, JobContext, Kind, Stop
from muster.kernel.logging import get_logger

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Expected:
    executor_id: str
    recovered: bool


@dataclass(slots=True)
class _Running:
    context: JobContext
    task: asyncio.Task[None]


class RunningJobs:
    """Runs handlers, bounds their time, and cancels them."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        capacity: Capacity,
        executor_id: Callable[[], str],
        cancelled_elsewhere: Callable[[str], Awaitable[str | None]],
        finish_cancelled: Callable[[str], Awaitable[None]],
    ) -> None:
        self._kinds, self._capacity = kinds, capacity
        self._executor_id = executor_id
        self._cancelled_elsewhere, self._finish_cancelled = cancelled_elsewhere, finish_cancelled
        self._expected: dict[str, _Expected] = {}
        self._running: dict[str, _Running] = {}
        self._unknown: set[str] = set()
        self._changed = asyncio.Event()
        self.on_release: Callable[[], None] = lambda: None
        """Called whenever a slot came free."""

    def active(self) -> list[str]:
        """Return the ids of the jobs whose handlers run."""
        return list(self._running)

    def held(self) -> set[str]:
        """Return the ids of all claimed jobs that this process knows to have."""
        return self._running.keys() | self._expected.keys() | self._unknown

    def expect(self, job_id: str, *, recovered: bool) -> None:
        """Announce a job that is about to begin: its slot is reserved."""
        self._expected[job_id] = _Expected(self._executor_id(), recovered)

    def forget(self, job: Job) -> None:
        """Take an announcement back and free its slot."""
        if self._expected.pop(job.id, None) is not None:
            self._release(job)

    def _release(self, job: Job) -> None:
        self._capacity.release(job.partition)
        self._changed.set()
        self.on_release()

    def cancel(self, job_id: str, stop: Stop, reason: str) -> bool:
        """Cancel a handler. False when it does not run here."""
        running = self._running.get(job_id)
        if running is None:
            return False
        if running.context.stop is None:
            running.context.stop, running.context.reason = stop, reason
            running.task.cancel(reason)
        return True

    def cancel_all(self, stop: Stop, reason: str) -> None:
        """Cancel every handler."""
        for job_id in self.active():
            self.cancel(job_id, stop, reason)

    async def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for all handlers to end."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._running or self._expected:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def run(self, job: Job) -> bool:
        """Execute a job. False when it must stay alive for another invocation."""
        expected = self._expected.pop(job.id, None)
        if expected is None:
            # DBOS dispatched it by itself: somebody resumed it with a tool of DBOS.
            await self._capacity.acquire(job.partition)
            expected = _Expected(self._executor_id(), recovered=True)
        try:
            if expected.recovered and await self._is_cancelled(job.id):
                await self._finish_cancelled(job.id)
                return False
            while job.id in self._running:
                # This process lost the job and claimed it again while the old handler still ends.
                self._changed.clear()
                await self._changed.wait()
            if expected.executor_id != self._executor_id():
                return False  # the lease under which it was claimed is lost, and the job with it
            return await self._run(job, recovered=expected.recovered)
        finally:
            self._release(job)

    async def _is_cancelled(self, job_id: str) -> bool:
        try:
            return await self._cancelled_elsewhere(job_id) is not None
        except Exception:  # the next heartbeat will tell; an error here would end the job for good
            logger.exception("engine_signals_unreadable", job_id=job_id)
            return False

    async def _run(self, job: Job, *, recovered: bool) -> bool:
        kind = self._kinds.get(job.kind)
        if kind is None:
            # A newer release submitted it. It waits for a process that knows it: ours will end.
            logger.error("engine_job_kind_unknown", job_id=job.id, kind=job.kind)
            self._unknown.add(job.id)
            return False
        context = JobContext(job=job, executor_id=self._executor_id(), recovered=recovered)
        task = asyncio.create_task(_call(kind, context), name=f"job:{job.id}")
        self._running[job.id] = _Running(context, task)
        try:
            done, _ = await asyncio.wait({task}, timeout=job.timeout_s)
            if not done:
                self.cancel(job.id, Stop.TIMEOUT, f"no end within {job.timeout_s:g} s")
                await asyncio.wait({task})
        finally:
            task.cancel()
            del self._running[job.id]
        if context.stop is Stop.CANCELLED:
            await self._finish_cancelled(job.id)
        return _came_to_its_end(context, task)


async def _call(kind: Kind, context: JobContext) -> None:
    await kind.handler(context)


def _came_to_its_end(context: JobContext, task: asyncio.Task[None]) -> bool:
    if context.stop is Stop.CANCELLED or context.stop is Stop.LOST:
        # DBOS has the job as cancelled, or as another process's; there is nothing to record.
        return False
    if task.cancelled():
        return context.stop is not Stop.STOPPING
    error = task.exception()
    if error is None:
        return True
    if context.stop is Stop.STOPPING:
        return False
    logger.error("engine_job_failed", job_id=context.job.id, kind=context.job.kind, exc_info=error)
    return True
