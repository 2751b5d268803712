"""One segment of a run: taken up, worked on, and brought to an end or to a wait."""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.tools import ToolContext
from muster.domains.control import approvals
from muster.domains.control.gate import Limits
from muster.domains.work.journal import (
    Fenced,
    Intent,
    JournalReader,
    NewStep,
    Run,
    RunAction,
    RunStatus,
    StepKind,
    StepStatus,
    run_topic,
)
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.children import Parent, ask_agent
from muster.domains.work.runs.concluding import conclude
from muster.domains.work.runs.forking import copy_shared_steps
from muster.domains.work.runs.interruptions import Suspended
from muster.domains.work.runs.memory import RunMemory
from muster.domains.work.runs.parts import RunParts
from muster.domains.work.runs.steps import StepRunner
from muster.kernel import clock
from muster.kernel.background import unbroken
from muster.kernel.errors import AppError
from muster.platform.access import Caller

_LOOK_AGAIN_S = 2.0
_LAST_WORDS_S = 0.25
"""How long a child that has ended may take to come to its end in this process too."""
_STATUS = select(Run.__table__.c.status).where(Run.__table__.c.id == bindparam("of_run"))


class RunTimedOut(AppError):
    status, code, title = 504, "run_timeout", "The run took longer than it may"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a run came to; `note` says what is worth knowing about how."""

    output: Any
    note: str | None = None


class Segment(ABC):
    """The work on one run between being taken up and coming to an end or a wait.

    A kind of run says in `work` what is done. Everything around it is the same for all.

    Args:
        depth: 0 for a run that was started, 1 for one that it started, and so on.
        root: The run that was started, if it is another.
    """

    def __init__(
        self, parts: RunParts, run: Run, *, depth: int = 0, root: Run | None = None
    ) -> None:
        self.parts, self.run, self.depth = parts, run, depth
        self.root = root or run
        self.caller = Caller.system(run.project_id)
        self.memory = RunMemory(run, run.fence, run.started_at or clock.now())
        self._begun = time.monotonic()
        self._children: list[Segment] = []
        self._ended = False

    @property
    def active_ms(self) -> int:
        """Milliseconds of work, those of earlier segments included."""
        return self.run.active_ms + round((time.monotonic() - self._begun) * 1000)

    @abstractmethod
    async def prepare(self) -> None:
        """Get at hand what the work needs; what is missing ends the run before it has begun."""

    @abstractmethod
    async def work(self) -> Answer:
        """Do the work; whatever ends or interrupts it is raised."""

    @property
    def limit_s(self) -> float | None:
        """Longest active time that what is run allows itself, besides that of the run."""
        return None

    async def execute(self) -> Answer:
        """Do the work of this segment, within the time that is left for the run."""
        if await copy_shared_steps(self.parts, self.run) or self.run.head_seq:
            await self._remember()
        await self.prepare()
        self.memory.started_at = await self._start()
        bound = asyncio.timeout(self._time_left())
        try:
            async with bound:
                return await self.work()
        except TimeoutError:
            if not bound.expired():
                raise
            raise RunTimedOut(self._timeout_text()) from None

    def runner(self, agent: Mapping[str, Any], limits: Limits, workspace: Path) -> StepRunner:
        """Return what carries out the steps of this run."""
        return StepRunner(
            memory=self.memory,
            writer=self.parts.writer,
            gate=self.parts.gate,
            live=self.parts.live,
            limits=limits,
            agent=agent,
            context=ToolContext(
                project_id=self.run.project_id,
                run_id=self.run.id,
                agent_id=self.run.agent_id,
                workspace=workspace,
                ask_agent=self.ask_agent,
            ),
            root_run_id=self.root.id,
            started_by_id=self.root.started_by_id,
        )

    async def append(self, step: NewStep) -> None:
        """Append a step to the journal of the run."""
        appended = await self.parts.writer.append(self.run.id, self.memory.fence, [step])
        self.memory.note(step, stop_requested=appended.stop_requested)

    async def _remember(self) -> None:
        """Take in what the journal says of earlier work."""
        async with self.parts.database.read() as session:
            rows = await JournalReader(session).steps(self.run.id)
            statement = select(Intent.key).where(Intent.run_id == self.run.id)
            intents = (await session.scalars(statement)).all()
            decided = await approvals.decisions_of(session, self.run.id)
        await self.memory.load(rows, intents, decided, self.parts.blobs)

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
        rows = await self.parts.writer.rows(steps)
        async with self.parts.database.write() as session:
            started_at = await lifecycle.start(session, self.caller, self.run)
            stop_requested = await self._append_within(session, rows)
        for step in steps:
            self.memory.note(step, stop_requested=stop_requested)
        return started_at

    def _time_left(self) -> float:
        limit = min(self.run.timeout_s, self.limit_s or self.run.timeout_s)
        return max(0.0, limit - self.run.active_ms / 1000)

    def _timeout_text(self) -> str:
        if self.limit_s and self.limit_s <= self.run.timeout_s:
            return f"The agent worked for its limit of {self.limit_s:g} seconds."
        return f"The run was active for its limit of {self.run.timeout_s} seconds."

    async def ask_agent(self, reference: str, prompt: str, step_key: str) -> ToolOutcome:
        """Let another agent answer, in a run of its own."""
        return await ask_agent(
            self.parts, self.parent, self.execute_child, reference, prompt, step_key
        )

    @property
    def child_depth(self) -> int:
        """How deep the runs are that this one starts: agents may not ask each other endlessly."""
        return self.depth + 1

    @property
    def parent(self) -> Parent:
        """This run as the parent of those that it starts."""
        return Parent(self.run, self.caller, self.depth, self.root.started_by_id)

    async def execute_child(self, child: Run) -> None:
        """Execute a child, unless somebody ends it by itself: then what it does is broken off."""
        segment = self.parts.segment(child, depth=self.child_depth, root=self.root)
        self._children.append(segment)
        async with self.parts.live.subscribe(run_topic(child.id)) as news:
            work = asyncio.create_task(conclude(segment), name=f"child:{child.id}")
            work.add_done_callback(lambda _: news.put(None))
            try:
                while not work.done():
                    message = await news.get(_LOOK_AGAIN_S)
                    if message is not None and message["type"] != "status":
                        self._pass_on(child, message)
                        continue
                    if not work.done() and await self._has_ended(child.id, message):
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

    def _pass_on(self, child: Run, message: dict[str, Any]) -> None:
        """Let those who follow this run hear the words of one that it started."""
        if message["type"] in {"token", "step.started"}:
            key = f"{child.parent_key}/{message['key']}"
            self.parts.live.publish(run_topic(self.run.id), {**message, "key": key})

    async def _has_ended(self, run_id: str, news: dict[str, Any] | None) -> bool:
        if news is not None and not RunStatus(news["status"]).is_final:
            return False
        found: Any = await self.parts.database.peek(_STATUS, {"of_run": run_id})
        return RunStatus(found.status).is_final

    async def interrupted(self) -> None:
        """Record what was under way, here and in children, when somebody ended the run.

        Once: a child finds out by itself, and its parent tells it.
        """
        if self._ended:
            return
        self._ended = True
        await self._interrupt_children()
        steps = self._last_steps(StepStatus.CANCELLED, None, None)
        with contextlib.suppress(Fenced):
            await self.parts.writer.append(self.run.id, self.memory.fence, steps)
        async with self.parts.database.write() as session:
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
        return [*self.memory.interrupted, end]

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
        rows = await self.parts.writer.rows(self._last_steps(status, result, error))
        ending = await self.parts.endings.prepare(self.run)

        async def commit() -> None:
            async with self.parts.database.write() as session:
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

        await unbroken(commit(), f"end:{self.run.id}")

    async def _append_within(self, session: AsyncSession, rows: list[dict[str, Any]]) -> bool:
        """Append steps in a unit of work; returns whether the run was asked to stop meanwhile."""
        if not rows:
            return False
        fence = self.memory.fence
        appended = await self.parts.writer.append_within(session, self.run.id, fence, rows)
        return appended.stop_requested

    async def wait(self, suspended: Suspended) -> None:
        """Let the run wait for people, or for a moment."""
        async with self.parts.database.write() as session:
            await lifecycle.wait(
                session,
                self.caller,
                self.run,
                suspended.requests,
                heard=self.memory.heard,
                for_people=suspended.for_people,
                wake_at=suspended.wake_at,
                active_ms=self.active_ms,
                engine=self.parts.engine,
            )
