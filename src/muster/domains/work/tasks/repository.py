"""Queries on tasks."""

from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.work.journal import Run
from muster.domains.work.tasks.errors import TaskAmbiguous, TaskNotFound
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.schemas import TaskList
from muster.domains.work.tasks.statuses import FINAL
from muster.kernel import clock
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows, paginate

_FINAL = [status.value for status in FINAL]


class TaskRepository(Repository[Task]):
    """The tasks of one project."""

    model, missing = Task, TaskNotFound

    async def search(self, params: TaskList, agent: Agent | None) -> Rows[Task]:
        """Return tasks that match the filters, newest first.

        Args:
            params: The filters.
            agent: Whom the filter of agents means, if it means anybody.
        """
        query = self.query()
        for statuses in (params.status_filter, params.status):
            if statuses:
                query = query.where(Task.status.in_(statuses.split(",")))
        if params.priority:
            query = query.where(Task.priority.in_(params.priority.split(",")))
        if params.agent_id:
            theirs = Task.agent_reference == params.agent_id
            query = query.where(of_agent(agent) if agent else theirs)
        if params.crew_id:
            query = query.where(Task.crew_id == params.crew_id)
        if params.search:
            text = params.search
            columns = (Task.name, Task.description)
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        if params.overdue is not None:
            late = _overdue()
            query = query.where(late if params.overdue else not_(late))
        if params.created_from:
            query = query.where(Task.created_at >= params.created_from)
        if params.created_to:
            query = query.where(Task.created_at < params.created_to)
        return await self.page(query, params, (Task.created_at, True))

    async def by_ids(self, ids: Collection[str]) -> Sequence[Task]:
        """Return tasks by their ids; those that are not there are left out."""
        return (await self.session.scalars(self.query().where(Task.id.in_(ids)))).all()

    async def held(self, task_id: str) -> Task:
        """Return a task that nobody else changes until the unit of work ends."""
        statement = (
            self.query()
            .where(Task.id == task_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        task: Task | None = await self.session.scalar(statement)
        if task is None:
            raise TaskNotFound
        return task

    async def counts(self, column: Any) -> dict[str, int]:
        """Return how many tasks there are by a column."""
        statement = (
            select(column, func.count()).where(Task.project_id == self.project_id).group_by(column)
        )
        rows = (await self.session.execute(statement)).all()
        return {str(row[0]): int(row[1]) for row in rows}

    async def count_overdue(self) -> int:
        """Return how many tasks are overdue."""
        statement = select(func.count()).where(Task.project_id == self.project_id, _overdue())
        return await self.session.scalar(statement) or 0

    async def runs(self, task: Task, params: ListParams) -> Rows[Run]:
        """Return the runs of a task, newest first."""
        statement = select(Run).where(Run.project_id == self.project_id, Run.target_id == task.id)
        sort = (Run.created_at, True)
        return await paginate(self.session, statement, params, sort=sort, tiebreak=Run.id)

    async def lapses(self, task: Task, reason: str, most: int) -> int:
        """Count the last runs of a task, before the present one, that ended for this reason."""
        before = (
            select(Run.status_reason)
            .where(Run.project_id == self.project_id, Run.target_id == task.id)
            .where(Run.id != task.last_run_id)
            .order_by(Run.created_at.desc(), Run.id.desc())
            .limit(most)
        )
        reasons = (await self.session.scalars(before)).all()
        return sum(1 for _ in takewhile(lambda found: found == reason, reasons))

    async def agents(self, ids: Collection[str]) -> dict[str, Agent]:
        """Return agents of the project by id, deleted ones not among them."""
        if not ids:
            return {}
        statement = select(Agent).where(
            Agent.project_id == self.project_id, Agent.id.in_(ids), Agent.deleted_at.is_(None)
        )
        return {agent.id: agent for agent in (await self.session.scalars(statement)).all()}


def of_agent(agent: Agent) -> ColumnElement[bool]:
    """Return the condition for tasks of an agent, also those that named it before it was there."""
    names = (agent.id, agent.key, agent.name)
    return or_(
        Task.agent_id == agent.id,
        and_(Task.agent_id.is_(None), Task.agent_reference.in_(names)),
    )


def _overdue() -> ColumnElement[bool]:
    late = and_(Task.deadline.is_not(None), Task.deadline < clock.now())
    return and_(late, Task.status.not_in(_FINAL))


async def find_task(session: AsyncSession, project_id: str, reference: str) -> Task:
    """Return a task by its id, else by its name; raises `TaskNotFound`.

    Raises `TaskAmbiguous` where several have the name.
    """
    mine = select(Task).where(Task.project_id == project_id)
    by_id = await session.scalar(mine.where(Task.id == reference))
    if by_id is not None:
        return by_id
    found = (await session.scalars(mine.where(Task.name == reference).limit(2))).all()
    if not found:
        raise TaskNotFound
    if len(found) > 1:
        raise TaskAmbiguous
    return found[0]


async def find_run(session: AsyncSession, project_id: str, run_id: str) -> Run | None:
    """Return a run, if it was made already."""
    run: Run | None = await session.scalar(
        select(Run).where(Run.project_id == project_id, Run.id == run_id)
    )
    return run
