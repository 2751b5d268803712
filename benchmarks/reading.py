"""How long lists of runs and traces take, by how long the journal is."""

import random
import time
from collections.abc import Callable

import httpx2

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report, at_most
from benchmarks.journal_rows import fill, settle
from benchmarks.product import product
from benchmarks.timing import percentile

_STEPS = 50
_FLAT = 1.5
_WARM_UP = 5
_HOW = (
    "`GET /executions` (the newest 50 runs and the total; also those that failed) and "
    f"`GET /execution-trace/{{id}}` of a run chosen at random, with its {_STEPS} steps, through the "
    "application without a network, one request after the other. All runs are of one project. "
    "Rows are written in bulk; the database is closed up before reading (WAL checkpoint on SQLite, "
    "`VACUUM ANALYZE` on PostgreSQL). Growth compares the medians at both lengths."
)
_Address = Callable[[], str]


async def measure(context: Context) -> Report:
    """Measure reading."""
    report = Report(name="reading", title="Reading a long journal", how=_HOW)
    for kind in context.databases:
        await _measure_on(context, report, kind)
    return report


async def _measure_on(context: Context, report: Report, kind: str) -> None:
    short, long = context.pick(200, 200, 20), context.pick(20_000, 2_000, 60)
    with context.scratch() as folder:
        async with (
            fresh_database(kind, folder) as url,
            product(url, folder, engine="off") as muster,
        ):
            project_id = muster.accounts.project_id
            ids = await fill(url, project_id, runs=short, steps=_STEPS, first=0)
            await settle(url)
            before = await _read(context, report, kind, muster.client, ids)
            context.say(f"{kind}: filling up to {long * _STEPS:,} steps")
            ids += await fill(url, project_id, runs=long - short, steps=_STEPS, first=short)
            await settle(url)
            after = await _read(context, report, kind, muster.client, ids)
    for name, median in after.items():
        report.add(
            f"{kind}: {name}, growth of p50 from {short * _STEPS:,} to {long * _STEPS:,} steps",
            median / before[name],
            "times",
            at_most(_FLAT),
        )


async def _read(
    context: Context, report: Report, kind: str, client: httpx2.AsyncClient, ids: list[str]
) -> dict[str, float]:
    """Add the figures of each kind of request; return their medians."""
    chance = random.Random(7)
    requests: dict[str, _Address] = {
        "list of runs": lambda: "/executions",
        "list of failed runs": lambda: "/executions?status=failed",
        "trace of a run": lambda: f"/execution-trace/{chance.choice(ids)}",
    }
    medians: dict[str, float] = {}
    for name, address in requests.items():
        where = f"{kind}: {name}, {len(ids) * _STEPS:,} steps"
        context.say(where)
        times = await _time(client, address, context.pick(300, 100, 10))
        medians[name] = percentile(times, 50)
        report.add(f"{where}, p50", medians[name], "ms")
        report.add(f"{where}, p99", percentile(times, 99), "ms", at_most(100))
    return medians


async def _time(client: httpx2.AsyncClient, address: _Address, count: int) -> list[float]:
    times: list[float] = []
    for number in range(_WARM_UP + count):
        begun = time.perf_counter()
        answer = await client.get(address())
        elapsed = (time.perf_counter() - begun) * 1000
        answer.raise_for_status()
        if number >= _WARM_UP:
            times.append(elapsed)
    return times
