"""Whether this installation is well: one look at every part, in bounded time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import text

from muster import __version__
from muster.engine import ExecutorInfo
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.logging import get_logger
from muster.platform.system.readings import Machine
from muster.platform.system.schemas import (
    DatabaseHealth,
    EngineHealth,
    HealthReport,
    SystemHealth,
)

PROBE_S = 2.0

logger = get_logger(__name__)

__all__ = ["ExecutorSource", "Health", "HealthReport"]


class ExecutorSource(Protocol):
    """Knows which processes execute runs: the engine."""

    async def executors(self) -> Sequence[ExecutorInfo]:
        """Return the processes that live."""
        ...

    def active(self) -> Sequence[str]:
        """Return the ids of the jobs that this process executes."""
        ...


class Health:
    """Looks after the parts of this process.

    Args:
        database: The database; without it nothing works.
        folder: The folder that the product writes to.
        engine: What executes runs, if this process has to do with runs.
    """

    def __init__(
        self, database: Database, folder: Path, engine: ExecutorSource | None = None
    ) -> None:
        self._database, self._engine = database, engine
        self._machine = Machine(folder)
        self._started = time.monotonic()
        self._database_probe = Probe(self._ask_database)
        self._engine_probe = Probe(self._ask_engine)

    async def report(self) -> HealthReport:
        """Look at every part; takes no longer than a part may take to answer."""
        database, engine, reading = await asyncio.gather(
            self._look_at_database(), self._look_at_engine(), self._machine.read()
        )
        if database.status == "down":
            status, reason = "unhealthy", "The database does not answer."
        elif engine is not None and engine.status != "up":
            status, reason = "degraded", "No process executes runs: new runs wait."
        else:
            status, reason = "healthy", None
        return HealthReport(
            status=status,
            reason=reason,
            service="muster",
            version=__version__,
            uptime_seconds=round(time.monotonic() - self._started, 3),
            timestamp=clock.now(),
            system=SystemHealth(**asdict(reading)),
            database=database,
            engine=engine,
        )

    async def close(self) -> None:
        """Give up the looks that still wait for an answer."""
        await self._database_probe.close()
        await self._engine_probe.close()

    async def _look_at_database(self) -> DatabaseHealth:
        latency_ms = await self._database_probe.ask()
        return DatabaseHealth(
            status="down" if latency_ms is None else "up",
            dialect=self._database.dialect,
            latency_ms=latency_ms,
        )

    async def _look_at_engine(self) -> EngineHealth | None:
        if self._engine is None:
            return None
        await self._engine_probe.ask()
        executors: Sequence[ExecutorInfo] | None = self._engine_probe.answer
        if executors is None:
            return EngineHealth(status="down", executors=0, capacity=0, active_jobs=0)
        return EngineHealth(
            status="up" if executors else "idle",
            executors=len(executors),
            capacity=sum(executor.concurrency for executor in executors),
            active_jobs=len(self._engine.active()),
        )

    async def _ask_database(self) -> None:
        async with self._database.read() as session:
            await session.execute(text("SELECT 1"))

    async def _ask_engine(self) -> Sequence[ExecutorInfo] | None:
        return await self._engine.executors() if self._engine else None


class Probe:
    """Asks a part whether it is there, once at a time however many want to know."""

    def __init__(self, question: Callable[[], Awaitable[Any]]) -> None:
        self._question = question
        self._task: asyncio.Task[float | None] | None = None
        self.answer: Any = None

    async def ask(self) -> float | None:
        """Return how long the answer took, in milliseconds; None when none came in time."""
        task = self._task
        if task is None or task.done():  # done: a late answer to an earlier question
            task = self._task = asyncio.create_task(self._ask(), name="health-probe")
        # Not cancelled when it is late: a driver may wait long for the end of what it cancels.
        # Those who ask meanwhile wait for the same answer, so that nothing piles up.
        await asyncio.wait((task,), timeout=PROBE_S)
        if not task.done():
            self.answer = None
            return None
        return task.result()

    async def _ask(self) -> float | None:
        started = time.perf_counter()
        try:
            self.answer = await self._question()
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not well
            logger.warning("health_probe_failed", error=type(error).__name__)
            self.answer = None
            return None
        return round((time.perf_counter() - started) * 1000, 2)

    async def close(self) -> None:
        """Give up a question that is not answered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=PROBE_S)
