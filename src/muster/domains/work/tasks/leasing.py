"""Tasks that worker nodes do: each is leased to one of them, and returns when the lease lapses.

Whoever changes a lease has the row of the task, so of two at once the second sees what the first
has done. A lease that has lapsed binds nobody, whether the sweep has found it yet or not.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.work.tasks.errors import (
    TaskAtWork,
    TaskEnded,
    TaskLeased,
    TaskNotForWorker,
    TaskNotLeased,
    TaskNotReady,
)
from muster.domains.work.tasks.events import TaskReturned
from muster.domains.work.tasks.following import completed, facts_of, failed, started, wake_queue
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.presenting import present
from muster.domains.work.tasks.readiness import find_agent
from muster.domains.work.tasks.repository import TaskRepository
from muster.domains.work.tasks.schemas import TaskOut
from muster.domains.work.tasks.statuses import TaskStatus
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.paging import ListParams, Rows, paginate
from muster.platform import events
from muster.platform.access import Caller

_NAME = "task leases"
_BATCH = 200


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
    ) -> tuple[TaskOut, bool]:
        """Lease a task to a worker; one that it has already, for longer.

        Returns the task, and whether the worker did not have it before.
        """
        task = await self._tasks.held(task_id)
        moment = clock.now()
        _return_if_lapsed(self._session, self._caller, task, moment)
        new = task.lease_until is None or task.worker_id != worker_id
        if new:
            agent = await self._agent_for(task, names)
            _require_free(task, agent)
            task.agent_id, task.last_run_id = agent.id, None
            task.run_inputs, task.run_model = None, None
            started(self._session, self._caller, task)
            task.worker_id = worker_id
        task.lease_s, task.lease_until = lease_s, moment + timedelta(seconds=lease_s)
        await self._session.flush()
        return await self._shown(task), new

    async def end(
        self, task_id: str, worker_id: str, result: Any, error: dict[str, Any] | None
    ) -> TaskOut:
        """Let a task have ended as the worker that has it tells; with an error it has failed."""
        task = await self._tasks.held(task_id)
        lease = task.lease_until
        if lease is None or lease <= clock.now() or task.worker_id != worker_id:
            raise TaskNotLeased(_why_not(task, worker_id))
        if error is None:
            completed(self._session, self._caller, task, result)
        else:
            failed(self._session, self._caller, task, error, result=result)
        await self._session.flush()
        wake_queue(self._session)
        return await self._shown(task)

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
        for task in await self._leased(worker_id):
            _return(self._session, self._caller, task, reason)
        await self._session.flush()

    async def _leased(self, worker_id: str) -> Sequence[Task]:
        query = self._tasks.query().where(
            Task.worker_id == worker_id, Task.lease_until.is_not(None)
        )
        held = query.order_by(Task.id).with_for_update()
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

    async def _shown(self, task: Task) -> TaskOut:
        agents = await self._tasks.agents({task.agent_id} if task.agent_id else ())
        return present(task, agents.get(task.agent_id or ""))


async def return_lapsed(database: Database) -> int:
    """Put back the tasks whose lease has lapsed; returns how many this process has put back."""
    lapsed = Task.lease_until <= clock.now()
    look = select(Task.id).where(lapsed).order_by(Task.lease_until).limit(_BATCH)
    async with database.read() as session:
        found = (await session.scalars(look)).all()
    if not found:
        return 0
    # Of several processes each takes what no other has at the moment.
    hold = select(Task).where(Task.id.in_(found), lapsed).with_for_update(skip_locked=True)
    async with database.write() as session:
        tasks = (await session.scalars(hold)).all()
        for task in tasks:
            _return_if_lapsed(session, Caller.system(task.project_id, _NAME), task, clock.now())
    return len(tasks)


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


def _return_if_lapsed(session: AsyncSession, caller: Caller, task: Task, moment: datetime) -> None:
    if task.lease_until is not None and task.lease_until <= moment:
        _return(session, caller, task, "The lease has lapsed")


def _return(session: AsyncSession, caller: Caller, task: Task, reason: str) -> None:
    """Let a task be pending as before; who had it is no concern of anybody who takes it next."""
    worker_id = task.worker_id
    task.status, task.started_at = TaskStatus.PENDING.value, None
    task.worker_id, task.lease_s, task.lease_until = None, None, None
    fact = TaskReturned(**facts_of(task), worker_id=worker_id, reason=reason)
    events.record(session, caller, fact)
    wake_queue(session)
