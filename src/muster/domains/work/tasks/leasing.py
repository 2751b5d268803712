"""Tasks that worker nodes do: each is leased to one of them, and returns when the lease lapses.

Each lease is a run of kind `external`, which the task follows; one that lapses ends it as failed.
Whoever changes a lease has the row of the task, so of two at once the second sees what the first
has done. A lease that has lapsed binds nobody, whether the sweep has found it yet or not.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.work.journal import Run, RunAction
from muster.domains.work.runs import begin_external, end_external
from muster.domains.work.tasks.errors import (
    TaskAtWork,
    TaskEnded,
    TaskLeased,
    TaskNotForWorker,
    TaskNotFound,
    TaskNotLeased,
    TaskNotReady,
)
from muster.domains.work.tasks.events import TaskReturned
from muster.domains.work.tasks.following import facts_of, wake_queue
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.presenting import present
from muster.domains.work.tasks.readiness import find_agent
from muster.domains.work.tasks.repository import TaskRepository
from muster.domains.work.tasks.schemas import TaskOut
from muster.domains.work.tasks.statuses import TaskStatus
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.ids import new_id
from muster.kernel.paging import ListParams, Rows, paginate
from muster.platform import events
from muster.platform.access import Caller

_NAME = "task leases"
_BATCH = 200
_LAPSED = "The lease has lapsed"
_MOST_LAPSES = 5
"""How many leases in a row may lapse, unless the task allows more attempts: what ends every worker
that takes it must not go round for ever."""
TASK_RETURNED = "task_returned"
"""The error of a run that came to nothing while its task waits for another worker."""
_ORDER = (Task.agent_id, Task.id)
"""Of agents the ends of runs have one after the other: in another order two could wait for each
other."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The run that a new lease is, and what it begins with."""

    run_id: str
    agent: Agent
    inputs: dict[str, Any]


class TaskLeases:
    """What worker nodes do with tasks.

    A worker is known here by its id, and by the names under which agents are bound to it: what
    their `worker_id` says.
    """

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._tasks = TaskRepository(session, caller.project_id)

    async def require(self, task_id: str) -> None:
        """Raise `TaskNotFound` unless there is the task."""
        await self._tasks.get(task_id)

    async def open_to(self, names: Collection[str], params: ListParams) -> Rows[TaskOut]:
        """Return the tasks that a worker may claim, in the order of the queue."""
        query = (
            self._tasks.query()
            .where(Task.status == TaskStatus.PENDING.value, Task.claimed_at.is_(None))
            .where(_agents_of(names))
            .order_by(Task.rank, Task.deadline.is_(None), Task.deadline)
        )
        sort = (Task.created_at, False)
        rows: Rows[Task] = await paginate(self._session, query, params, sort=sort, tiebreak=Task.id)
        agents = await self._tasks.agents({t.agent_id for t in rows.items if t.agent_id})
        shown = [present(task, agents.get(task.agent_id or "")) for task in rows.items]
        return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)

    async def claim(
        self, task_id: str, worker_id: str, names: Collection[str], lease_s: int
    ) -> tuple[TaskOut, Begun | None]:
        """Lease a task to a worker; one that it has already, for longer.

        Returns the task, and what has begun, unless the worker had it before.
        """
        task = await self.held(task_id)
        moment = clock.now()
        if _has_lapsed(task, moment):
            await self._lapse(task)
        begun = None
        if task.lease_until is None or task.worker_id != worker_id:
            agent = await self._agent_for(task, names)
            _require_free(task, agent)
            begun = await self._begin(task, agent, worker_id)
        task.lease_s, task.lease_until = lease_s, moment + timedelta(seconds=lease_s)
        await self._session.flush()
        return await self.shown(task), begun

    async def _begin(self, task: Task, agent: Agent, worker_id: str) -> Begun:
        task.agent_id, task.run_inputs, task.run_model = agent.id, None, None
        await self._session.flush()
        run_id = new_id()
        await begin_external(
            self._session,
            self._caller,
            agent,
            run_id=run_id,
            name=task.name,
            facts={"task_id": task.id, "task": task.spec, "worker_id": worker_id},
            inputs=task.inputs,
            target_id=task.id,
            origin="queue",
        )
        task.worker_id = worker_id
        return Begun(run_id, agent, task.inputs)

    async def held(self, task_id: str) -> Task:
        """Return a task that nobody else changes until the unit of work ends.

        Its run is held before it, as by whoever ends a run.
        """
        task = await self._tasks.get(task_id)
        if task.lease_until is not None:
            await self._hold_run(task.last_run_id)
        return await self._tasks.held(task_id)

    async def agent_at_work(self, task: Task, worker_id: str) -> Agent:
        """Return the agent of a task that a worker has; raises `TaskNotLeased` if it has not."""
        if (
            task.lease_until is None
            or _has_lapsed(task, clock.now())
            or task.worker_id != worker_id
        ):
            raise TaskNotLeased(_why_not(task, worker_id))
        return await self._session.get_one(Agent, task.agent_id)

    async def renew(self, worker_id: str) -> None:
        """Let the leases of a worker last as long again as each was given for."""
        moment = clock.now()
        for task in await self._leased(worker_id):
            until = moment + timedelta(seconds=task.lease_s or 0)
            if task.lease_until and moment < task.lease_until < until:
                task.lease_until = until
        await self._session.flush()

    async def give_back(self, worker_id: str, reason: str) -> None:
        """Put back all that a worker has, which is to have nothing any more."""
        leased = self._tasks.query().with_only_columns(Task.last_run_id)
        for run_id in await self._session.scalars(leased.where(_has(worker_id)).order_by(*_ORDER)):
            await self._hold_run(run_id)
        for task in await self._leased(worker_id):
            await self._return(task, reason)

    async def return_if_lapsed(self, task_id: str) -> bool:
        """Put a task back if its lease has lapsed; returns whether it has."""
        task = await self.held(task_id)
        lapsed = _has_lapsed(task, clock.now())
        if lapsed:
            await self._lapse(task)
        return lapsed

    async def _lapse(self, task: Task) -> None:
        """Put back a task whose lease has lapsed; after too many in a row it has failed."""
        allowed = max(_MOST_LAPSES, 1 + int(task.spec.get("retry_on_fail") or 0))
        lapses = 1 + await self._tasks.lapses(task, _LAPSED, allowed)
        if task.last_run_id is None or lapses < allowed:
            await self._return(task, _LAPSED)
            return
        reason = f"{_LAPSED} {lapses} times in a row"
        error = {"code": "lease_lapsed", "message": reason}
        await end_external(
            self._session,
            self._caller,
            task.last_run_id,
            RunAction.FAIL,
            reason=reason,
            error=error,
        )

    async def _return(self, task: Task, reason: str) -> None:
        """Let a task be pending as before; who had it is no concern of whoever takes it next."""
        worker_id, run_id = task.worker_id, task.last_run_id
        task.status, task.started_at = TaskStatus.PENDING.value, None
        # Without a last run, the task does not follow the end of this one.
        task.worker_id, task.lease_s, task.lease_until, task.last_run_id = None, None, None, None
        await self._session.flush()
        if run_id is not None:
            error = {"code": TASK_RETURNED, "message": reason}
            await end_external(
                self._session, self._caller, run_id, RunAction.FAIL, reason=reason, error=error
            )
        task.last_run_id = run_id
        fact = TaskReturned(**facts_of(task), worker_id=worker_id, reason=reason)
        events.record(self._session, self._caller, fact)
        wake_queue(self._session)
        await self._session.flush()

    async def _hold_run(self, run_id: str | None) -> None:
        if run_id is not None:
            await self._session.get(Run, run_id, with_for_update=True)

    async def _leased(self, worker_id: str) -> Sequence[Task]:
        held = self._tasks.query().where(_has(worker_id)).order_by(*_ORDER).with_for_update()
        fresh = held.execution_options(populate_existing=True)
        return (await self._session.scalars(fresh)).all()

    async def _agent_for(self, task: Task, names: Collection[str]) -> Agent:
        reference = task.agent_id or task.agent_reference
        agent = await find_agent(self._session, task.project_id, reference)
        if agent is None or agent.spec.get("worker_id") not in names:
            raise TaskNotForWorker(
                "Set the worker_id of the task's agent to the id of this worker, or to its group."
            )
        return agent

    async def shown(self, task: Task) -> TaskOut:
        """Return a task as the API shows it."""
        agents = await self._tasks.agents({task.agent_id} if task.agent_id else ())
        return present(task, agents.get(task.agent_id or ""))


async def return_lapsed(database: Database) -> int:
    """Put back the tasks whose lease has lapsed; returns how many this process has put back."""
    lapsed = Task.lease_until <= clock.now()
    look = select(Task.id, Task.project_id).where(lapsed).order_by(Task.lease_until).limit(_BATCH)
    async with database.read() as session:
        found = (await session.execute(look)).all()
    returned = 0
    for task_id, project_id in found:
        async with database.write() as session:
            leases = TaskLeases(session, Caller.system(project_id, _NAME))
            with suppress(TaskNotFound):
                returned += await leases.return_if_lapsed(task_id)
    return returned


def _agents_of(names: Collection[str]) -> ColumnElement[bool]:
    """Return the condition for tasks of the started agents that are bound to a worker."""
    theirs = or_(
        Task.agent_id == Agent.id,
        and_(Task.agent_id.is_(None), Task.agent_reference.in_((Agent.id, Agent.key, Agent.name))),
    )
    return (
        select(Agent.id)
        .where(
            Agent.project_id == Task.project_id,
            Agent.deleted_at.is_(None),
            Agent.is_started,
            Agent.spec["worker_id"].as_string().in_(names),
            theirs,
        )
        .exists()
    )


def _require_free(task: Task, agent: Agent) -> None:
    if task.lease_until is not None:
        raise TaskLeased(f"Another worker has it until {clock.iso(task.lease_until)}.")
    if task.is_at_work:
        raise TaskAtWork("A run of the task is under way here; take another task.")
    if task.is_final:
        raise TaskEnded(f"The task is {task.status}; PATCH its status to pending to do it again.")
    if task.status != TaskStatus.PENDING:
        raise TaskNotReady("The task is a draft; PATCH its status to pending.")
    if not agent.is_started:
        raise TaskNotReady(f"The agent {agent.name} takes no tasks; POST /agents/{agent.id}/start.")


def _why_not(task: Task, worker_id: str) -> str:
    if task.is_final:
        return f"The task is {task.status} already; there is nothing left to report."
    if task.lease_until is not None and task.worker_id != worker_id:
        return "Another worker has it; what this one did is not taken."
    return "Its lease has lapsed, or it never had one; claim the task, then report its result."


def _has(worker_id: str) -> ColumnElement[bool]:
    return and_(Task.worker_id == worker_id, Task.lease_until.is_not(None))


def _has_lapsed(task: Task, moment: datetime) -> bool:
    return task.lease_until is not None and task.lease_until <= moment
