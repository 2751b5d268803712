"""How long `muster serve` takes to its first answer, and what memory it rests in."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.context import Context
from benchmarks.figures import Report, less_than
from benchmarks.processes import Server, bare_server, muster_server
from benchmarks.timing import median

_REST_S = 3.0
_HOW = (
    "`muster serve` as a process of its own on SQLite: from its start to the first answer of "
    "`GET /health`, with an empty data folder (tables, keys and the superadmin are made) and with "
    "the one that is there then. The yardstick is a FastAPI application of one route under "
    "uvicorn, started in turn with them. Computing is the CPU time of the process. Memory is "
    "resident memory, that of children included, three seconds after the first answer. Medians."
)


@dataclass(frozen=True, slots=True)
class _Start:
    """One start: seconds to the first answer, of these computing, MB at rest, seconds to end."""

    seconds: float
    cpu_s: float
    memory_mb: float
    stop_s: float


async def measure(context: Context) -> Report:
    """Measure starts."""
    report = Report(name="start", title="Start and memory at rest", how=_HOW)
    first: list[_Start] = []
    later: list[_Start] = []
    bare: list[_Start] = []
    rest_s = _REST_S if context.size != "tiny" else 0.1
    for number in range(context.pick(5, 2, 1)):
        context.say(f"start {number + 1}")
        with context.scratch() as scratch:
            folder = scratch / "data"
            bare.append(await asyncio.to_thread(_start, bare_server, folder, 0.0))
            first.append(await asyncio.to_thread(_start, muster_server, folder, 0.0))
            later.append(await asyncio.to_thread(_start, muster_server, folder, rest_s))
    for name, starts in (("first start", first), ("later start", later)):
        report.add(f"{name}, to the first answer", median(s.seconds for s in starts), "s", _BAR)
        report.add(f"{name}, computing until then", median(s.cpu_s for s in starts), "s")
    of_bare = median(s.seconds for s in bare)
    report.add("bare FastAPI application, to the first answer", of_bare, "s")
    report.add("bare FastAPI application, computing", median(s.cpu_s for s in bare), "s")
    report.add("later start, of that", median(s.seconds for s in later) / of_bare, "times")
    report.add("resident memory at rest", median(s.memory_mb for s in later), "MB", less_than(300))
    report.add("from SIGTERM to the end, without runs", median(s.stop_s for s in later), "s")
    return report


_BAR = less_than(2)
_Serve = Callable[[Path], AbstractContextManager[Server]]


def _start(serve: _Serve, folder: Path, rest_s: float) -> _Start:
    begun = time.perf_counter()
    with serve(folder) as server:
        server.wait_for_answer()
        seconds, cpu_s = time.perf_counter() - begun, server.cpu_s()
        time.sleep(rest_s)
        memory_mb, told = server.memory_mb(), time.perf_counter()
    return _Start(seconds, cpu_s, memory_mb, time.perf_counter() - told)
