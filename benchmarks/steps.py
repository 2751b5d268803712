"""How many durable steps a second runs take, beside DBOS alone."""

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from sqlalchemy.engine import make_url

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report, at_least
from benchmarks.processes import answer_of, process, tell
from benchmarks.step_worker import Work
from benchmarks.timing import median

_AT_ONCE = 16
_STEPS = 20
_HOW = (
    f"Runs of {_STEPS} steps, {_AT_ONCE} in flight in each process. A step of Muster is an "
    "idempotent tool call that does nothing, on the path of every run: the gate decides, the tool "
    "is called, the step is appended to the journal with its hash; runs are jobs of the engine, "
    "taken up under a fence and ended with their event. DBOS alone runs workflows of as many async "
    "steps that do nothing, with the same serializer on as durable an engine. Both in turn, each "
    "on a database of its own; medians. On SQLite one process executes runs, by design."
)


async def measure(context: Context) -> Report:
    """Measure steps."""
    report = Report(name="steps", title="Durable steps", how=_HOW)
    rounds = context.pick(3, 1, 1)
    for kind in context.databases:
        by_processes: dict[int, float] = {}
        for processes in (1,) if kind == "sqlite" else (1, 2):
            ours: list[float] = []
            theirs: list[float] = []
            for number in range(rounds):
                context.say(f"{kind}, {processes} process(es), round {number + 1}")
                theirs.append(await _rate(context, kind, "dbos", processes))
                ours.append(await _rate(context, kind, "muster", processes))
            by_processes[processes] = rate = median(ours)
            name = f"{kind}, {processes} process{'es' if processes > 1 else ''}"
            embedded = at_least(200) if kind == "sqlite" else None
            report.add(f"{name}: Muster, steps", rate, "/s", embedded)
            report.add(f"{name}: DBOS alone, steps", median(theirs), "/s")
            ratios = [mine / its for mine, its in zip(ours, theirs, strict=True)]
            report.add(f"{name}: Muster to DBOS", median(ratios), "times", at_least(0.5))
        if len(by_processes) > 1:
            gain = by_processes[2] / by_processes[1]
            report.add(f"{kind}: two processes to one", gain, "times", at_least(1))
    return report


async def _rate(context: Context, kind: str, engine: str, processes: int) -> float:
    """Return how many steps a second all processes take together."""
    runs = context.pick(100, 32, 4)
    with context.scratch() as folder:
        async with fresh_database(kind, folder) as url:
            if engine == "dbos":
                url = _for_dbos(url)
            work = Work(
                engine=engine,
                url=url,
                folder=str(folder),
                runs=runs,
                steps=_STEPS,
                at_once=min(_AT_ONCE, runs),
            )
            seconds = await asyncio.to_thread(_execute, work, folder, processes)
    return processes * runs * _STEPS / seconds


def _for_dbos(url: str) -> str:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"sqlite:///{Path(str(parsed.database)).with_name('bare.db')}"
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _execute(work: Work, folder: Path, processes: int) -> float:
    """Return the seconds from telling the workers to begin until the last one is done."""
    command = [sys.executable, "-m", "benchmarks.step_worker", json.dumps(asdict(work))]
    log = folder / "workers.log"
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(process(command, log, pipes=True)) for _ in range(processes)]
        for worker in workers:
            answer_of(worker, log)
        begun = time.perf_counter()
        for worker in workers:
            tell(worker, "go")
        for worker in workers:
            answer_of(worker, log)
        return time.perf_counter() - begun
