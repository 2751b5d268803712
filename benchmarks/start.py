"""How long `muster serve` takes to its first answer, and what memory it rests in."""

import asyncio
import time
from pathlib import Path

from benchmarks.context import Context
from benchmarks.figures import Report, at_most
from benchmarks.processes import muster_server
from benchmarks.timing import median

_REST_S = 3.0
_HOW = (
    "`muster serve` as a process of its own on SQLite: from its start to the first answer of "
    "`GET /health`, with an empty data folder (tables, keys and the superadmin are made) and with "
    "the one that is there then. Resident memory, children included, three seconds after the first "
    "answer. Medians."
)


async def measure(context: Context) -> Report:
    """Measure starts."""
    report = Report(name="start", title="Start and memory at rest", how=_HOW)
    first: list[float] = []
    second: list[float] = []
    memory: list[float] = []
    rest_s = _REST_S if context.size != "tiny" else 0.1
    for number in range(context.pick(5, 2, 1)):
        context.say(f"start {number + 1}")
        with context.scratch() as scratch:
            folder = scratch / "data"
            seconds, _ = await asyncio.to_thread(_start, folder, 0)
            first.append(seconds)
            seconds, megabytes = await asyncio.to_thread(_start, folder, rest_s)
            second.append(seconds)
            memory.append(megabytes)
    report.add("first start to first answer", median(first), "s", at_most(2))
    report.add("later start to first answer", median(second), "s", at_most(2))
    report.add("slowest of all starts", max(first + second), "s")
    report.add("resident memory at rest", median(memory), "MB", at_most(300))
    return report


def _start(folder: Path, rest_s: float) -> tuple[float, float]:
    begun = time.perf_counter()
    with muster_server(folder) as server:
        server.wait_for_answer()
        seconds = time.perf_counter() - begun
        time.sleep(rest_s)
        return seconds, server.memory_mb()
