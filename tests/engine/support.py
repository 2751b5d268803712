"""What tests of the engine share: places to run in, handlers that record, other processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.engine import make_url

from muster.engine import (
    Engine,
    EngineOptions,
    Executor,
    Job,
    JobContext,
    JobSignal,
    prepare,
)
from muster.engine.system_database import SystemDatabase
from muster.kernel.db import Base, Database
from muster.kernel.live import LiveBus

ROOT = Path(__file__).resolve().parents[2]
TABLES = [cast("Table", Executor.__table__), cast("Table", JobSignal.__table__)]


async def until(condition: Callable[[], Any], timeout_s: float = 20) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("what was waited for did not happen")
        await asyncio.sleep(0.005)


async def fill(url: str, system_url: str) -> None:
    """Create the tables of the engine and of DBOS."""
    database = Database(url)
    async with database.connect() as connection:
        await connection.run_sync(Base.metadata.create_all, tables=TABLES)
    await database.dispose()
    await prepare(EngineOptions(system_database_url=system_url))


@dataclass
class Recorder:
    """Handlers and what they did."""

    begun: list[JobContext] = field(default_factory=list[JobContext])
    ended: list[str] = field(default_factory=list[str])
    at: dict[str, float] = field(default_factory=dict[str, float])
    lost: list[str] = field(default_factory=list[str])
    running: dict[str, int] = field(default_factory=dict[str, int])
    peak: int = 0
    peaks: dict[str, int] = field(default_factory=dict[str, int])
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def begun_ids(self) -> list[str]:
        return [context.job.id for context in self.begun]

    def last(self, job_id: str) -> JobContext:
        return next(c for c in reversed(self.begun) if c.job.id == job_id)

    async def work(self, context: JobContext) -> None:
        job = context.job
        self.begun.append(context)
        self.at[job.id] = time.perf_counter()
        self.running[job.partition] = self.running.get(job.partition, 0) + 1
        self.peak = max(self.peak, sum(self.running.values()))
        self.peaks[job.partition] = max(
            self.peaks.get(job.partition, 0), self.running[job.partition]
        )
        try:
            if job.payload.get("hold"):
                await self.gate.wait()
            await asyncio.sleep(job.payload.get("seconds", 0))
            if "fail" in job.payload:
                raise RuntimeError(job.payload["fail"])
        finally:
            self.running[job.partition] -= 1
        self.ended.append(job.id)

    async def give_up(self, job_id: str, payload: dict[str, Any]) -> None:
        assert isinstance(payload, dict)
        self.lost.append(job_id)


def job(id: str, *, partition: str = "p", **payload: Any) -> Job:
    return Job(id=id, kind="work", payload=payload, partition=partition)


@dataclass
class World:
    """One product database and one system database."""

    url: str
    system_url: str
    folder: Path
    processes: "list[Process]" = field(default_factory=list)

    def options(self, **changes: Any) -> EngineOptions:
        values: dict[str, Any] = {"system_database_url": self.system_url, "heartbeat_s": 0.2}
        return EngineOptions(**values | changes)

    @asynccontextmanager
    async def engine(
        self,
        recorder: Recorder,
        *,
        start: bool = True,
        kinds: tuple[str, ...] = ("work",),
        grace_s: float = 0.1,
        **options: Any,
    ) -> AsyncIterator[Engine]:
        async with AsyncExitStack() as stack:
            database = Database(self.url)
            stack.push_async_callback(database.dispose)
            live = LiveBus(database)
            await live.start()
            stack.push_async_callback(live.stop)
            engine = Engine(self.options(**options), database, live)
            for kind in kinds:
                engine.register(kind, recorder.work, lost=recorder.give_up)
            if start:
                await engine.start()
                stack.push_async_callback(engine.stop, grace_s)
            yield engine

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        database = Database(self.url)
        try:
            yield database
        finally:
            await database.dispose()

    @asynccontextmanager
    async def system(self) -> AsyncIterator[SystemDatabase]:
        system = SystemDatabase(self.options())
        await system.open()
        try:
            yield system
        finally:
            system.close()

    async def process(self, name: str, **options: Any) -> "Process":
        process = Process(self, name, options)
        self.processes.append(process)
        await asyncio.to_thread(process.expect, "ready")
        return process


class Process:
    """An engine in a process of its own (`tests/engine/process.py`)."""

    def __init__(self, world: World, name: str, options: dict[str, Any]) -> None:
        self.journal_path = world.folder / f"{name}.jsonl"
        given = {"url": world.url, "journal": str(self.journal_path)}
        given["options"] = asdict(world.options(**options))  # pyright: ignore[reportArgumentType]
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.process", json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def expect(self, answer: str) -> None:
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline().strip() == answer

    async def tell(self, *command: Any) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(command) + "\n")
        self.popen.stdin.flush()
        await asyncio.to_thread(self.expect, "done")

    async def submit(self, submitted: Job) -> None:
        await self.tell("submit", submitted.to_json())

    def journal(self) -> list[dict[str, Any]]:
        if not self.journal_path.exists():
            return []
        # A killed process may leave half a line.
        lines = self.journal_path.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def jobs(self, event: str) -> list[str]:
        return [entry["job"] for entry in self.journal() if entry["event"] == event]

    def kill(self) -> None:
        os.kill(self.popen.pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(10)
        for stream in (self.popen.stdin, self.popen.stdout):
            assert stream is not None
            stream.close()

    async def stop(self) -> None:
        await self.tell("stop")
        await asyncio.to_thread(self.popen.wait, 20)


def sqlite_system(folder: Path) -> str:
    return str(folder / "engine.db")


def postgres_system(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
