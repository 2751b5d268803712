"""How many steps a second the journal takes, by how many write at a time."""

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy import insert
from sqlalchemy.engine import make_url

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report
from benchmarks.journal_rows import run_row
from benchmarks.product import Product, product
from benchmarks.timing import percentile
from muster.domains.work.journal import JournalWriter, NewStep, Run, RunStatus, StepKind
from muster.kernel import clock
from muster.kernel.ids import new_id

_APPENDERS = (1, 16, 64)
_TEXT = "The quarterly figures were compared with those of the year before. "
_HOW = (
    "`JournalWriter.append` of one step of about 1 KB at a time: each writer has a run of its own "
    "and appends the next step when the last one is durable. Appends that wait at the same moment "
    "share a commit. The bare driver, for comparison, inserts a row of 1 KB and commits, one after "
    "the other, into the same kind of database."
)


async def measure(context: Context) -> Report:
    """Measure appends."""
    report = Report(name="journal", title="Appending to the journal", how=_HOW)
    for kind in context.databases:
        with context.scratch() as folder:
            async with (
                fresh_database(kind, folder) as url,
                product(url, folder, engine="off") as muster,
            ):
                await _measure_on(context, report, kind, url, folder, muster)
    return report


async def _measure_on(
    context: Context, report: Report, kind: str, url: str, folder: Path, muster: Product
) -> None:
    seconds = context.pick(40, 10, 2) / 10
    bare = await _bare_commits(kind, url, folder, seconds)
    report.add(f"{kind}: bare driver, commits of one row", bare, "/s")
    for appenders in _APPENDERS:
        context.say(f"{kind}, {appenders} writers")
        found = await _append_for(seconds, appenders, muster)
        name = f"{kind}: {appenders} writer{'s' if appenders > 1 else ''}"
        report.add(f"{name}, steps", found.rate, "/s")
        report.add(f"{name}, p50", percentile(found.times_ms, 50), "ms")
        report.add(f"{name}, p99", percentile(found.times_ms, 99), "ms")
        report.add(f"{name}, of what the bare driver commits", found.rate / bare, "times")


@dataclass(frozen=True, slots=True)
class _Found:
    rate: float
    times_ms: list[float]


async def _append_for(seconds: float, appenders: int, muster: Product) -> _Found:
    runs = await _running(muster, appenders)
    writer = muster.muster.running.parts.writer
    times: list[float] = []
    await asyncio.gather(*(_append(writer, run, time.perf_counter() + 0.2, []) for run in runs))
    begun = time.perf_counter()
    await asyncio.gather(*(_append(writer, run, begun + seconds, times) for run in runs))
    return _Found(len(times) / (time.perf_counter() - begun), times)


async def _running(muster: Product, count: int) -> list[str]:
    ids = [new_id() for _ in range(count)]
    rows = [
        run_row(
            run_id,
            muster.accounts.project_id,
            number,
            0,
            status=RunStatus.RUNNING.value,
            completed_at=None,
            result=None,
        )
        for number, run_id in enumerate(ids)
    ]
    async with muster.muster.database.write() as session:
        await session.execute(insert(Run), rows)
    return ids


async def _append(writer: JournalWriter, run_id: str, until: float, times: list[float]) -> None:
    """Append steps, adding the milliseconds that each took, until the time is over."""
    while (begun := time.perf_counter()) < until:
        await writer.append(run_id, 1, [_step()])
        times.append((time.perf_counter() - begun) * 1000)


def _step() -> NewStep:
    return NewStep(
        key=f"t{new_id()}",
        kind=StepKind.RESOURCE,
        name="search_files",
        started_at=clock.now(),
        verb="GET",
        parent_key="start",
        agent_id="agent",
        input={"query": _TEXT * 3},
        output={"matches": [_TEXT] * 6},
        properties={"tool_kind": "builtin"},
        decision={"action": "allow", "wait_s": 0.0, "findings": []},
    )


async def _bare_commits(kind: str, url: str, folder: Path, seconds: float) -> float:
    """Return how many one-row commits a second the driver does by itself."""
    if kind == "sqlite":
        return await asyncio.to_thread(_commit_to_sqlite, folder / "bare.db", seconds)
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)
    try:
        await connection.execute("CREATE TABLE bare (id SERIAL PRIMARY KEY, body TEXT)")
        begun, count = time.perf_counter(), 0
        while time.perf_counter() < begun + seconds:
            await connection.execute("INSERT INTO bare (body) VALUES ($1)", "x" * 1024)
            count += 1
        return count / (time.perf_counter() - begun)
    finally:
        await connection.close()


def _commit_to_sqlite(path: Path, seconds: float) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, body TEXT)")
        begun, count = time.perf_counter(), 0
        while time.perf_counter() < begun + seconds:
            connection.execute("INSERT INTO bare (body) VALUES (?)", ("x" * 1024,))
            count += 1
        return count / (time.perf_counter() - begun)
    finally:
        connection.close()
