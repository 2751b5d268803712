"""When the engine's handler of runs begins and ends, seen from inside the process."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from muster.domains.work.runs import RunExecutor
from muster.engine import JobContext

_PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Execution:
    """A run, in seconds of the performance counter: asked for, begun by a handler, ended."""

    run_id: str
    asked: float
    begun: float
    ended: float

    @property
    def start_ms(self) -> float:
        return (self.begun - self.asked) * 1000

    @property
    def total_ms(self) -> float:
        return (self.ended - self.asked) * 1000


class Handlers:
    """The handlers that have been called."""

    def __init__(self) -> None:
        self._found: dict[str, asyncio.Future[tuple[float, float]]] = {}

    def _future(self, run_id: str) -> asyncio.Future[tuple[float, float]]:
        if run_id not in self._found:
            self._found[run_id] = asyncio.get_running_loop().create_future()
        return self._found[run_id]

    def note(self, run_id: str, begun: float) -> None:
        """Take in that a handler ended now: the end of its run is committed."""
        self._future(run_id).set_result((begun, time.perf_counter()))

    async def ended(self, run_id: str) -> tuple[float, float]:
        """Wait for the end of a run; return when its handler began and ended."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self._future(run_id)


@contextmanager
def watched_handlers() -> Iterator[Handlers]:
    """Watch the handlers of whatever engine is assembled in the block."""
    handlers, original = Handlers(), RunExecutor.handle

    async def handle(self: RunExecutor, job: JobContext) -> None:
        begun = time.perf_counter()
        try:
            await original(self, job)
        finally:
            handlers.note(job.job.payload["run_id"], begun)

    RunExecutor.handle = handle
    try:
        yield handlers
    finally:
        RunExecutor.handle = original
