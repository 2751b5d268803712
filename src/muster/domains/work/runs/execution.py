"""One segment of a run: taken up, worked on, and brought to an end or to a wait."""

import asyncio
import contextlib
import time
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.agents import AgentSpec
from muster.domains.catalogue.tools import ToolContext
from muster.domains.control import approvals
from muster.domains.control.gate import Limits
from muster.domains.work.journal import (
    Fenced,
    IllegalRunMove,
    Intent,
    JournalReader,
    NewStep,
    Run,
    RunAction,
    StepKind,
    StepStatus,
    run_topic,
)
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.children import Parent, run_child
from muster.domains.work.runs.forking import copy_shared_steps
from muster.domains.work.runs.loop import AgentLoop, Answer
from muster.domains.work.runs.memory import RunMemory
from muster.domains.work.runs.parts import RunParts
from muster.domains.work.runs.prompting import build_prompt
from muster.domains.work.runs.steps import Refused, StepRunner, StopAsked, Suspended
from muster.domains.work.runs.workspaces import prepare_workspace
from muster.engine import JobContext, Stop
from muster.kernel import clock, metrics
from muster.kernel.errors import AppError
from muster.kernel.logging import get_logger
from muster.platform.access import Caller

_LOOK_AGAIN_S = 2.0
_LAST_WORDS_S = 0.25
"""How long a child that has ended may take to come to its end in this process too."""

logger = get_logger(__name__)


class RunTimedOut(AppError):
    status, code, title = 504, "run_timeout", "The run took longer than it may"


class Segment:
    """The work on one run between being taken up and coming to an end or a wait.

    Args:
        depth: 0 for a run that was started, 1 for one that an agent of it started, and so on.
        root: The run that was started, if it is another.
    """

    def __init__(
        self, parts: RunParts, run: Run, *, depth: int = 0, root: Run | None = None
    ) -> None:
        self._parts, self.run, self.depth = parts, run, depth
        self._root = root or run
        self.caller = Caller.system(run.project_id)
        self.memory = RunMemory(run, run.fence, run.started_at or clock.now())
        self._begun = time.monotonic()
        self._children: list[Segment] = []
        self._ended = False

    @property
    def active_ms(self) -> int:
        """Milliseconds of work, those of earlier segments included."""
        return self.run.active_ms + round((time.monotonic() - self._begun) * 1000)

    async def execute(self) -> Answer:
        """Do the work; whatever ends or interrupts it is raised."""
        parts, run = self._parts, self.run
        spec = AgentSpec.model_validate(run.snapshot["agent"])
        if await copy_shared_steps(parts, run) or run.head_seq:
            await self._remember()
        workspace = await prepare_workspace(parts, run)
        model = await parts.models.resolve(run.project_id, run.snapshot["model"])
        tools = await parts.tools.bind(run.project_id, spec.tools, spec.tool_configs)
        started_at = self.memory.started_at = await self._start()
        runner = StepRunner(
            memory=self.memory,
            writer=parts.writer,
            gate=parts.gate,
            live=parts.live,
            limits=Limits(
                max_iter=spec.max_iter,
                max_rpm=spec.max_rpm,
                max_execution_time_s=spec.max_execution_time,
            ),
            agent=run.snapshot["agent"],
            context=ToolContext(
                project_id=run.project_id,
                run_id=run.id,
                agent_id=run.agent_id,
                workspace=workspace,
                ask_agent=self._ask_agent,
            ),
            root_run_id=self._root.id,
            started_by_id=self._root.started_by_id,
        )
        prompt = build_prompt(spec, run.inputs, started_at)
        loop = AgentLoop(runner, model, tools, spec)
        bound = asyncio.timeout(self._time_left(spec))
        try:
            async with bound:
                return await loop.run(prompt)
        except TimeoutError:
            if not bound.expired():
                raise
            raise RunTimedOut(self._timeout_text(spec)) from None

    async def _remember(self) -> None:
        """Take in what the journal says of earlier work."""
        async with self._parts.database.read() as session:
            rows = await JournalReader(session).steps(self.run.id)
            statement = select(Intent.key).where(Intent.run_id == self.run.id)
            intents = (await session.scalars(statement)).all()
            decided = await approvals.decisions_of(session, self.run.id)
        await self.memory.load(rows, intents, decided, self._parts.blobs)

    async def _start(self) -> datetime:
        """Move the run to running, with the first step of its journal in the same commit."""
        step = NewStep(
            key="start",
            kind=StepKind.TASK_START,
            name=self.run.name,
            started_at=self.memory.started_at,
            agent_id=self.run.agent_id,
            input=self.run.inputs,
            properties={"origin": self.run.origin, "agent_version": self.run.agent_version},
        )
        steps = [] if self.memory.finished(step.key) else [step]
        rows = await self._parts.writer.rows(steps)
        async with self._parts.database.write() as session:
            started_at = await lifecycle.start(session, self.caller, self.run)
            stop_requested = await self._append_within(session, rows)
        for step in steps:
            self.memory.note(step, stop_requested=stop_requested)
        return started_at

    def _time_left(self, spec: AgentSpec) -> float:
        limit = min(self.run.timeout_s, spec.max_execution_time or self.run.timeout_s)
        return max(0.0, limit - self.run.active_ms / 1000)

    def _timeout_text(self, spec: AgentSpec) -> str:
        if spec.max_execution_time and spec.max_execution_time <= self.run.timeout_s:
            return f"The agent worked for its limit of {spec.max_execution_time:g} seconds."
        return f"The run was active for its limit of {self.run.timeout_s} seconds."

    async def _ask_agent(self, reference: str, prompt: str, step_key: str) -> ToolOutcome:
        return await run_child(
            self._parts,
            Parent(self.run, self.caller, self.depth, self._root.started_by_id),
            self._execute_child,
            reference=reference,
            prompt=prompt,
            step_key=step_key,
        )

    async def _execute_child(self, child: Run) -> None:
        """Execute a child, unless somebody ends it by itself: then what it does is broken off."""
        segment = Segment(self._parts, child, depth=self.depth + 1, root=self._root)
        self._children.append(segment)
        async with self._parts.live.subscribe(run_topic(child.id)) as news:
            work = asyncio.create_task(conclude(segment), name=f"child:{child.id}")
            work.add_done_callback(lambda _: news.put(None))
            try:
                while not work.done():
                    message = await news.get(_LOOK_AGAIN_S)
                    if message is not None and message["type"] != "status":
                        continue
                    if not work.done() and await self._is_final(child.id):
                        await asyncio.wait({work}, timeout=_LAST_WORDS_S)
                        break
            finally:
                work.cancel()
                await asyncio.wait({work})
        self._children.remove(segment)
        if work.cancelled():
            await segment.interrupted()
        else:
            work.result()

    async def _is_final(self, run_id: str) -> bool:
        async with self._parts.database.read() as session:
            return (await session.get_one(Run, run_id)).is_final

    async def interrupted(self) -> None:
        """Record what was under way, here and in children, when somebody ended the run."""
        if self._ended:
            return
        await self._interrupt_children()
        steps = self._last_steps(StepStatus.CANCELLED, None, None)
        with contextlib.suppress(Fenced):
            await self._parts.writer.append(self.run.id, self.memory.fence, steps)
        async with self._parts.database.write() as session:
            await lifecycle.note_work(session, self.run, self.active_ms)

    async def _interrupt_children(self) -> None:
        children, self._children = self._children, []
        for child in children:
            await child.interrupted()

    def _last_steps(
        self, status: StepStatus, output: Any, error: dict[str, Any] | None
    ) -> list[NewStep]:
        """Return what was interrupted, and the step that says how this segment ended."""
        moment = clock.now()
        end = NewStep(
            key=self.memory.attempt_key("end"),
            kind=StepKind.TASK_ERROR if status is StepStatus.ERROR else StepKind.TASK_END,
            name=self.run.name,
            started_at=moment,
            ended_at=moment,
            status=status,
            agent_id=self.run.agent_id,
            parent_key="start",
            output=output,
            error=error,
        )
        interrupted, self.memory.interrupted = self.memory.interrupted, []
        return [*interrupted, end]

    async def end(
        self,
        action: RunAction,
        status: StepStatus,
        *,
        result: Any = None,
        error: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Bring the run to its end: the last step of its journal and its status in one commit.

        An end that has begun is not broken off, so that it is known whether there was one.
        """
        await self._interrupt_children()
        rows = await self._parts.writer.rows(self._last_steps(status, result, error))
        ending = await self._parts.endings.prepare(self.run)

        async def commit() -> None:
            async with self._parts.database.write() as session:
                await self._append_within(session, rows)
                await lifecycle.finish(
                    session,
                    self.caller,
                    self.run,
                    action,
                    reason=reason,
                    fence=self.memory.fence,
                    result=result,
                    error=error,
                    active_ms=self.active_ms,
                )
                if ending is not None:
                    await ending.report(session)
            self._ended = True

        committing = asyncio.create_task(commit(), name=f"end:{self.run.id}")
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            await asyncio.wait({committing})
            raise

    async def _append_within(self, session: AsyncSession, rows: list[dict[str, Any]]) -> bool:
        """Append steps in a unit of work; returns whether the run was asked to stop meanwhile."""
        if not rows:
            return False
        fence = self.memory.fence
        appended = await self._parts.writer.append_within(session, self.run.id, fence, rows)
        return appended.stop_requested

    async def wait(self, suspended: Suspended) -> None:
        """Let the run wait for people."""
        async with self._parts.database.write() as session:
            await lifecycle.wait(
                session,
                self.caller,
                self.run,
                suspended.requests,
                active_ms=self.active_ms,
                engine=self._parts.engine,
            )


class RunExecutor:
    """The engine's handler for runs."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts

    async def handle(self, job: JobContext) -> None:
        """Execute one segment of a run."""
        payload = job.job.payload
        async with self._parts.database.write() as session:
            run = await lifecycle.take_up(
                session, payload["run_id"], payload["segment"], job.executor_id
            )
        if run is None:
            return
        segment = Segment(self._parts, run)
        metrics.RUNS_ACTIVE.inc()
        try:
            await conclude(segment)
        except asyncio.CancelledError:
            if job.stop in {Stop.CANCELLED, Stop.TIMEOUT}:
                await asyncio.shield(self._interrupted(segment))
            raise
        finally:
            metrics.RUNS_ACTIVE.dec()

    async def _interrupted(self, segment: Segment) -> None:
        """Record what was under way when the run was cancelled or stopped by force."""
        try:
            await segment.interrupted()
        except Exception:
            logger.exception("interrupted_run_not_recorded", run_id=segment.run.id)

    async def lost(self, job_id: str, payload: dict[str, Any]) -> None:
        """End a run whose process died, where the settings say that it is not to be resumed."""
        async with self._parts.database.write() as session:
            run = await session.get(Run, payload["run_id"])
            if run is None or run.is_final or run.job_id != job_id:
                return
            caller = Caller.system(run.project_id)
            await lifecycle.finish(
                session, caller, run, RunAction.CANCEL, reason=lifecycle.RESTARTED
            )


async def conclude(segment: Segment) -> None:
    """Execute a segment and bring its run to an end or to a wait."""
    try:
        await _conclude(segment)
    except Fenced:
        logger.info("run_taken_away", run_id=segment.run.id)
    except IllegalRunMove:
        # Somebody ended it meanwhile.
        await segment.interrupted()


async def _conclude(segment: Segment) -> None:
    try:
        answer = await segment.execute()
        note = "The limit of iterations was reached." if answer.limit_reached else None
        await segment.end(RunAction.COMPLETE, StepStatus.OK, result=answer.output, reason=note)
    except Suspended as suspended:
        try:
            await segment.wait(suspended)
        except IllegalRunMove:
            # Somebody asked the run to stop in this very moment; or it has ended, and stays so.
            await _stop(segment)
    except StopAsked:
        await _stop(segment)
    except Refused as refused:
        action = RunAction.REJECT if refused.code == "rejected" else RunAction.FAIL
        await _fail(segment, action, refused.code, refused.message)
    except (Fenced, IllegalRunMove):
        raise
    except AppError as error:
        await _fail(segment, RunAction.FAIL, error.code, error.detail)
    except Exception:
        logger.exception("run_crashed", run_id=segment.run.id)
        text = "The run failed for a reason inside the platform; its id finds it in the log."
        await _fail(segment, RunAction.FAIL, "internal_error", text)


async def _stop(segment: Segment) -> None:
    partial = {"partial_results": segment.memory.partial_results()}
    await segment.end(RunAction.STOPPED, StepStatus.CANCELLED, result=partial)


async def _fail(segment: Segment, action: RunAction, code: str, message: str) -> None:
    error = {"code": code, "message": message}
    partial = segment.memory.partial_results()
    result = {"partial_results": partial} if partial else None
    await segment.end(action, StepStatus.ERROR, result=result, error=error, reason=message)
