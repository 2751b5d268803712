"""How long lists of runs and traces take, by how long the journal is."""

import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx2

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report, less_than
from benchmarks.journal_rows import fill, settle
from benchmarks.product import product
from benchmarks.timing import percentile

_STEPS = 50
_FLAT = 1.5
_WARM_UP = 5
_HOW = (
    "`GET /executions` (the newest 50 runs and the total; also those that failed) and "
    f"`GET /execution-trace/{{id}}` of a run chosen at random, with its {_STEPS} steps, through "
    "the application without a network. All runs are of one project. Two databases, one with a "
    "short and one with a long journal, are asked in turn; growth compares their medians. Rows are "
    "written in bulk, and the databases are closed up before reading (WAL checkpoint on SQLite, "
    "`VACUUM ANALYZE` on PostgreSQL)."
)
_Address = Callable[["_Journal"], str]

_REQUESTS: dict[str, _Address] = {
    "list of runs": lambda _: "/executions",
    "list of failed runs": lambda _: "/executions?status=failed",
    "trace of a run": lambda journal: f"/execution-trace/{journal.chance.choice(journal.ids)}",
}


@dataclass(frozen=True, slots=True)
class _Journal:
    """A database with a journal of some length, and who asks it."""

    client: httpx2.AsyncClient
    ids: list[str]
    chance: random.Random

    @property
    def length(self) -> str:
        return f"{len(self.ids) * _STEPS:,} steps"


async def measure(context: Context) -> Report:
    """Measure reading."""
    report = Report(name="reading", title="Reading a long journal", how=_HOW)
    lengths = context.pick(200, 200, 20), context.pick(20_000, 2_000, 60)
    for kind in context.databases:
        async with AsyncExitStack() as stack:
            short, long = [await _journal(context, stack, kind, runs) for runs in lengths]
            for name, address in _REQUESTS.items():
                context.say(f"{kind}: {name}")
                times = await _ask(context, (short, long), address)
                for journal, taken in zip((short, long), times, strict=True):
                    where = f"{kind}: {name}, {journal.length}"
                    report.add(f"{where}, p50", percentile(taken, 50), "ms")
                    report.add(f"{where}, p99", percentile(taken, 99), "ms", less_than(100))
                growth = percentile(times[1], 50) / percentile(times[0], 50)
                report.add(f"{kind}: {name}, growth", growth, "times", less_than(_FLAT))
    return report


async def _journal(context: Context, stack: AsyncExitStack, kind: str, runs: int) -> _Journal:
    context.say(f"{kind}: filling {runs * _STEPS:,} steps")
    folder = stack.enter_context(context.scratch())
    url = await stack.enter_async_context(fresh_database(kind, folder))
    muster = await stack.enter_async_context(product(url, folder, engine="off"))
    project_id = muster.accounts.project_id
    ids = await fill(url, project_id, runs=runs, steps=_STEPS, first=0)
    await settle(url)
    return _Journal(muster.client, ids, random.Random(7))


async def _ask(
    context: Context, journals: tuple[_Journal, _Journal], address: _Address
) -> tuple[list[float], list[float]]:
    """Return the milliseconds that the answers took, for both journals."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(_WARM_UP + context.pick(300, 100, 5)):
        for journal, taken in zip(journals, times, strict=True):
            begun = time.perf_counter()
            answer = await journal.client.get(address(journal))
            elapsed = (time.perf_counter() - begun) * 1000
            answer.raise_for_status()
            if number >= _WARM_UP:
                taken.append(elapsed)
    return times
