"""Taking in what agents log: into the journal, in order, durably, before the answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import (
    Appended,
    Fenced,
    JournalWriter,
    Run,
    RunAction,
    RunStatus,
    StepStatus,
)
from muster.domains.work.logs.errors import TaskEnded
from muster.domains.work.logs.observing import Costs, Foresight, Incidents, Observer
from muster.domains.work.logs.tasks import (
    Found,
    LogAgent,
    begin_task,
    find_own_task,
    find_task,
    set_idle,
)
from muster.domains.work.logs.translation import LoggedStep, refused
from muster.domains.work.runs import EXTERNAL_FENCE, end_external, resume_external
from muster.kernel import clock
from muster.kernel.db import Database
from muster.platform.access import Caller

IDLE_AFTER = timedelta(minutes=5)
"""How long a conversation may be silent before it is taken for left."""

_END = "task.end"

Register = Callable[[AsyncSession], Awaitable[LogAgent]]
"""Registers the agent of a conversation in a unit of work."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Steps of one task, in order; only the last may end it."""

    task_id: str
    steps: list[LoggedStep]

    def __post_init__(self) -> None:
        for number, step in enumerate(self.steps[:-1]):
            if step.normal.kind == _END:
                raise refused(f"steps.{number + 1}", "comes after the end of the task")

    @property
    def end(self) -> LoggedStep | None:
        """The step that ends the task, if it is among them."""
        return self.steps[-1] if self.steps[-1].normal.kind == _END else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a batch."""

    agent_id: str
    task_id: str
    run_id: str
    seqs: list[int]
    hash_tail: str
    incidents: Incidents


class Intake:
    """Takes in steps of agents that run elsewhere. One per process.

    Args:
        database: The database.
        writer: The writer of the journal.
        observer: Looks at what was logged.
        costs: Counts what was spent.
    """

    def __init__(
        self,
        database: Database,
        writer: JournalWriter,
        observer: Observer | None = None,
        costs: Costs | None = None,
    ) -> None:
        self._database, self._writer = database, writer
        self._observer, self._costs = observer, costs

    async def log(
        self, caller: Caller, agent_id: str, batch: Batch, session: AsyncSession | None = None
    ) -> Receipt:
        """Append steps to a task of an agent; the first begins it, `task.end` ends it.

        Args:
            caller: Who logs.
            agent_id: The agent.
            batch: The steps.
            session: A unit of work that the steps are to be part of, if there is one.
        """
        found = await find_task(self._database, caller, agent_id, batch.task_id)
        # Long payloads are put away before a unit of work takes its connection.
        rows = await self.rows(batch.steps)
        if session is not None:
            return await self._log_within(session, caller, found, batch, rows)
        if found.run_id is not None and batch.end is None:
            receipt = await self._log_together(found.agent, found.run_id, batch, rows)
            if receipt is not None:
                return receipt
        async with self._database.write() as unit:
            return await self._log_within(unit, caller, found, batch, rows)

    async def converse(
        self,
        caller: Caller,
        agent_key: str,
        batch: Batch,
        register: Register,
        session: AsyncSession | None = None,
    ) -> Receipt:
        """Append a step to a conversation; the agent is registered when its key is new.

        A conversation that was taken for left goes on with the step.
        """
        found = await find_own_task(self._database, caller, agent_key, batch.task_id)
        rows = await self.rows(batch.steps)
        if session is not None:
            return await self._converse(session, caller, found, batch, rows, register)
        async with self._database.write() as unit:
            return await self._converse(unit, caller, found, batch, rows, register)

    async def append(
        self,
        session: AsyncSession,
        agent: LogAgent,
        run_id: str,
        steps: Sequence[LoggedStep],
        rows: list[dict[str, Any]] | None = None,
    ) -> None:
        """Append steps to a run that the caller begins and ends, in its unit of work.

        `rows` is what `rows` returned for the steps, where it was asked before.
        """
        rows = rows or await self.rows(steps)
        for row in rows:
            row["agent_id"] = agent.id
        appended = await self._writer.append_within(session, run_id, EXTERNAL_FENCE, rows)
        task_id = steps[0].normal.task_id
        await self._tell(agent, run_id, task_id, steps, appended, session)

    async def rows(self, steps: Sequence[LoggedStep]) -> list[dict[str, Any]]:
        """Return steps as they are stored, their large payloads put away."""
        return await self._writer.rows([step.new for step in steps])

    async def _converse(
        self,
        session: AsyncSession,
        caller: Caller,
        found: Found | None,
        batch: Batch,
        rows: list[dict[str, Any]],
        register: Register,
    ) -> Receipt:
        agent = found.agent if found else await register(session)
        for row in rows:
            row["agent_id"] = agent.id
        run_id = (found.run_id if found else None) or await begin_task(
            session, caller, agent.id, batch.task_id, conversation=True
        )
        await set_idle(session, run_id, None if batch.end else clock.now() + IDLE_AFTER)
        try:
            appended = await self._writer.append_within(session, run_id, EXTERNAL_FENCE, rows)
        except Fenced as error:
            run = await session.get_one(Run, run_id, populate_existing=True)
            if run.status != RunStatus.STOPPED:
                raise _ended(batch.task_id) from error
            await resume_external(session, caller, run)
            appended = await self._writer.append_within(session, run_id, EXTERNAL_FENCE, rows)
        return await self._finish(session, caller, agent, run_id, batch, appended)

    async def _log_together(
        self, agent: LogAgent, run_id: str, batch: Batch, rows: list[dict[str, Any]]
    ) -> Receipt | None:
        """Append steps in one commit with those of others.

        None where that cannot be: something is to be written with them, or another process logs to
        the same task.
        """
        foreseen = Foresight()
        if self._observer is not None:
            foreseen = await self._observer.foresee(agent, run_id, batch.task_id, batch.steps)
            if foreseen is None:
                return None
        held = False
        try:
            appended = await self._writer.append_rows(run_id, EXTERNAL_FENCE, rows, foreseen.place)
            held = True
        except Fenced:
            return None
        finally:
            foreseen.settle(held)
        if self._costs is not None:
            await self._costs.charge(agent, run_id, batch.steps, None)
        return _receipt(agent, run_id, batch, appended, [])

    async def _log_within(
        self,
        session: AsyncSession,
        caller: Caller,
        found: Found,
        batch: Batch,
        rows: list[dict[str, Any]],
    ) -> Receipt:
        agent = found.agent
        run_id = found.run_id or await begin_task(session, caller, agent.id, batch.task_id)
        try:
            appended = await self._writer.append_within(session, run_id, EXTERNAL_FENCE, rows)
        except Fenced as error:
            raise _ended(batch.task_id) from error
        return await self._finish(session, caller, agent, run_id, batch, appended)

    async def _finish(
        self,
        session: AsyncSession,
        caller: Caller,
        agent: LogAgent,
        run_id: str,
        batch: Batch,
        appended: Appended,
    ) -> Receipt:
        """End the run if the steps end the task, and let those know who look at steps."""
        await self._end(session, caller, run_id, batch)
        incidents = await self._tell(agent, run_id, batch.task_id, batch.steps, appended, session)
        return _receipt(agent, run_id, batch, appended, incidents)

    async def _end(self, session: AsyncSession, caller: Caller, run_id: str, batch: Batch) -> None:
        last = batch.end
        if last is None:
            return
        if last.new.status is StepStatus.OK:
            result = last.new.output
            await end_external(session, caller, run_id, RunAction.COMPLETE, result=result)
            return
        error = last.new.error or {"message": f"The task ended as {last.new.status.value}."}
        reason = str(error["message"])
        await end_external(session, caller, run_id, RunAction.FAIL, reason=reason, error=error)

    async def _tell(
        self,
        agent: LogAgent,
        run_id: str,
        task_id: str | None,
        steps: Sequence[LoggedStep],
        appended: Appended,
        session: AsyncSession,
    ) -> Incidents:
        """Let those know of steps who count their costs and judge them."""
        if self._costs is not None:
            await self._costs.charge(agent, run_id, steps, session)
        if self._observer is None:
            return []
        numbered = list(zip(appended.seqs, steps, strict=True))
        return await self._observer.observe(agent, run_id, task_id, numbered, session)


def _receipt(
    agent: LogAgent, run_id: str, batch: Batch, appended: Appended, incidents: Incidents
) -> Receipt:
    return Receipt(
        agent_id=agent.id,
        task_id=batch.task_id,
        run_id=run_id,
        seqs=appended.seqs,
        hash_tail=appended.tail,
        incidents=incidents,
    )


def _ended(task_id: str) -> TaskEnded:
    return TaskEnded(f"The task {task_id} has ended; log what comes next under a new task_id.")
