"""A process that executes durable steps: `python -m benchmarks.step_worker JSON`.

The argument holds the fields of `Work`. A worker prints a line when it is ready, begins when it is
told by a line, and prints how many seconds it took.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert

from benchmarks.databases import settings_for
from benchmarks.journal_rows import run_row
from muster.adapters.models import ToolCall, ToolSpec
from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.tools import BoundTool, ToolContext
from muster.domains.control.gate import Limits
from muster.domains.work.journal import Run, RunAction, RunStatus
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.memory import RunMemory
from muster.domains.work.runs.steps import StepRunner, ToolUse
from muster.engine import Engine, Job, JobContext
from muster.entrypoints.assembly import Muster
from muster.entrypoints.running import engine_options
from muster.kernel import clock
from muster.kernel.ids import new_id
from muster.kernel.logging import configure_logging
from muster.platform.access import Caller
from muster.platform.projects import Project

_KIND = "benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a worker does: so many runs of so many steps, a number of them at once.

    Args:
        engine: "muster" or "dbos".
        url: The database.
        folder: Data folder of the product.
    """

    engine: str
    url: str
    folder: str
    runs: int
    steps: int
    at_once: int


async def _no_op(_: dict[str, object], __: ToolContext) -> ToolOutcome:
    return ToolOutcome(content={"done": True})


TOOL = BoundTool(
    spec=ToolSpec(name="no_op", description="Does nothing.", parameters={"type": "object"}),
    kind="builtin",
    step_kind="step.resource",
    verb="GET",
    idempotent=True,
    enabled=True,
    requires_approval=False,
    timeout_s=60,
    perform=_no_op,
)


class NoOpRuns:
    """Executes runs of idempotent tool calls that do nothing, on the path of every run: taken up
    under a new fence, each step judged and appended, ended with its event.
    """

    def __init__(self, muster: Muster, steps: int) -> None:
        self._parts, self._steps = muster.running.parts, steps
        self.ended: dict[str, asyncio.Event] = {}

    async def handle(self, job: JobContext) -> None:
        """Execute one run."""
        run_id: str = job.job.payload["run_id"]
        parts = self._parts
        async with parts.database.write() as session:
            run = await lifecycle.take_up(session, run_id, 1, job.executor_id)
        assert run is not None
        caller = Caller.system(run.project_id)
        async with parts.database.write() as session:
            started = await lifecycle.start(session, caller, run)
        runner = StepRunner(
            memory=RunMemory(run, run.fence, started),
            writer=parts.writer,
            gate=parts.gate,
            live=parts.live,
            limits=Limits(max_iter=100),
            agent={"name": "Agent"},
            context=ToolContext(project_id=run.project_id, run_id=run.id),
        )
        for number in range(1, self._steps + 1):
            await runner.act(_use(number))
        async with parts.database.write() as session:
            await lifecycle.finish(
                session, caller, run, RunAction.COMPLETE, fence=run.fence, result="done"
            )
        self.ended[run_id].set()

    async def lost(self, job_id: str, payload: dict[str, object]) -> None:
        raise AssertionError(f"{job_id} was lost: {payload}")


def _use(number: int) -> ToolUse:
    call = ToolCall(id=f"call-{number}", name=TOOL.name, arguments={"number": number})
    return ToolUse(key=f"t{number}.0", parent_key="start", iteration=number, call=call, tool=TOOL)


async def with_muster(work: Work) -> None:
    """Execute the runs with Muster's engine and journal."""
    # More room than is used: a run that begins where the slot of another is not free yet would
    # queue, and another process could take it, of which nobody here would hear.
    settings = settings_for(work.url, Path(work.folder), concurrency=2 * work.at_once)
    async with Muster(settings, engine="off") as muster:
        engine = Engine(engine_options(settings, work=True), muster.database, muster.live)
        runs = NoOpRuns(muster, work.steps)
        engine.register(_KIND, runs.handle, lost=runs.lost)
        project_id, run_ids = await _pending_runs(muster, work.runs)
        await engine.start()

        async def execute(number: int) -> None:
            run_id = run_ids[number]
            runs.ended[run_id] = asyncio.Event()
            payload = {"run_id": run_id}
            job = Job(id=f"{run_id}:1", kind=_KIND, payload=payload, partition=project_id)
            await engine.submit(job)
            await runs.ended[run_id].wait()

        await _when_told(work, execute)
        await engine.stop()


async def _pending_runs(muster: Muster, count: int) -> tuple[str, list[str]]:
    ids = [new_id() for _ in range(count)]
    async with muster.database.write() as session:
        project = Project(name=f"Benchmark {new_id()}")
        session.add(project)
        await session.flush()
        rows = [
            run_row(
                run_id,
                project.id,
                number,
                0,
                agent_id=None,
                status=RunStatus.PENDING.value,
                fence=0,
                started_at=None,
                completed_at=None,
                result=None,
                created_at=clock.now(),
            )
            for number, run_id in enumerate(ids)
        ]
        await session.execute(insert(Run), rows)
    return project.id, ids


async def with_dbos(work: Work) -> None:
    """Execute as many workflows of as many steps that do nothing with DBOS alone.

    On an engine that is as durable as Muster's, and with its serializer.
    """
    from dbos import DBOS
    from dbos._serialization import DBOSPortableJSON

    from muster.engine.connection import create_engine

    logging.getLogger("dbos").addHandler(logging.NullHandler())  # else it adds its own
    engine = create_engine(work.url)
    DBOS(
        config={
            "name": "bare",
            "system_database_url": engine.url.render_as_string(hide_password=False),
            "system_database_engine": engine,
            "application_version": "1",
            "executor_id": new_id(),
            "serializer": DBOSPortableJSON,
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    async def no_op(number: int) -> dict[str, int]:
        return {"done": number}

    @DBOS.workflow()
    async def run(steps: int) -> str:
        for number in range(1, steps + 1):
            await no_op(number)
        return "done"

    DBOS.launch()

    async def execute(_: int) -> None:
        handle = await DBOS.start_workflow_async(run, work.steps)
        await handle.get_result()

    try:
        await _when_told(work, execute)
    finally:
        await asyncio.to_thread(DBOS.destroy)


async def _when_told(work: Work, execute: Callable[[int], Awaitable[None]]) -> None:
    """Keep so many runs in flight until all have been executed, beginning when told."""
    waiting = iter(range(work.runs))

    async def one_after_another() -> None:
        for number in waiting:
            await execute(number)

    _say({"ready": True})
    await asyncio.to_thread(sys.stdin.readline)
    begun = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(work.at_once)))
    _say({"seconds": time.perf_counter() - begun})


def _say(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    configure_logging(level="WARNING", json=True)  # to standard error: answers have the other
    work = Work(**json.loads(sys.argv[1]))
    asyncio.run(with_muster(work) if work.engine == "muster" else with_dbos(work))


if __name__ == "__main__":
    main()
