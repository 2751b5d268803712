"""Queries on worker nodes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.work.workers.errors import WorkerNameTaken, WorkerNotFound
from muster.domains.work.workers.models import ONLINE_FOR, WorkerNode
from muster.domains.work.workers.schemas import AdminWorkerList, WorkerList
from muster.engine import Executor
from muster.kernel import clock
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows, paginate

_APPROVAL = {"pending": None, "approved": True, "rejected": False}
_BOUND_TO = Agent.spec["worker_id"].as_string()


class WorkerRepository(Repository[WorkerNode]):
    """The workers of one project."""

    model, missing, taken = WorkerNode, WorkerNotFound, WorkerNameTaken

    async def search(self, params: WorkerList) -> Rows[WorkerNode]:
        """Return workers that match the filters, newest first."""
        query = filtered(self.query(), params)
        return await self.page(query, params, (WorkerNode.created_at, True))

    async def by_name(self, params: ListParams) -> Rows[WorkerNode]:
        """Return workers by name."""
        return await self.page(self.query(), params, (WorkerNode.name, False))

    async def find_name(self, name: str) -> WorkerNode | None:
        """Return the worker with a name, which nobody else changes meanwhile."""
        row: WorkerNode | None = await self.session.scalar(
            held(self.query().where(WorkerNode.name == name))
        )
        return row

    async def held(self, worker_id: str) -> WorkerNode:
        """Return a worker that nobody else changes until the unit of work ends."""
        row: WorkerNode | None = await self.session.scalar(
            held(self.query().where(WorkerNode.id == worker_id))
        )
        if row is None:
            raise WorkerNotFound
        return row

    async def figures(self, moment: datetime) -> dict[str, Any]:
        """Count the workers of the project, and average those that are online."""
        lives = online(moment)
        works = and_(lives, WorkerNode.is_approved.is_(True))
        row = await self.session.execute(
            select(
                func.count(WorkerNode.id).label("total"),
                func.count().filter(lives).label("online"),
                func.count().filter(WorkerNode.is_approved.is_(True)).label("approved"),
                func.count().filter(WorkerNode.is_approved.is_(None)).label("pending_approval"),
                func.count().filter(WorkerNode.is_approved.is_(False)).label("rejected"),
                func.coalesce(func.sum(WorkerNode.max_agents).filter(works), 0).label("places"),
                func.avg(WorkerNode.cpu_usage_percent).filter(lives).label("cpu"),
                func.avg(WorkerNode.memory_usage_percent).filter(lives).label("memory"),
                func.avg(WorkerNode.disk_usage_percent).filter(lives).label("disk"),
            ).where(WorkerNode.project_id == self.project_id)
        )
        return dict(row.mappings().one())

    async def agents_at_work(self, moment: datetime) -> int:
        """Count the agents that are bound to workers which are approved and online."""
        workers = (
            select(WorkerNode.id)
            .where(WorkerNode.project_id == self.project_id)
            .where(online(moment), WorkerNode.is_approved.is_(True))
        )
        groups = workers.with_only_columns(WorkerNode.group).where(WorkerNode.group.is_not(None))
        statement = select(func.count(Agent.id)).where(
            Agent.project_id == self.project_id,
            Agent.deleted_at.is_(None),
            or_(_BOUND_TO.in_(workers), _BOUND_TO.in_(groups)),
        )
        return await self.session.scalar(statement) or 0


def online(moment: datetime) -> ColumnElement[bool]:
    """Return the condition that a worker gave a sign of life lately."""
    # Never null, so that its negation has those that never gave one.
    return func.coalesce(WorkerNode.heartbeat_at >= moment - ONLINE_FOR, False)


def held(statement: Select[Any]) -> Select[Any]:
    """Let nobody else change what a statement finds until the unit of work ends."""
    return statement.with_for_update(key_share=True).execution_options(populate_existing=True)


def filtered(statement: Select[Any], params: WorkerList) -> Select[Any]:
    """Return the statement with the filters of a list."""
    if params.status is not None:
        lives = online(clock.now())
        statement = statement.where(lives if params.status == "online" else ~lives)
    if params.approval_status is not None:
        statement = statement.where(WorkerNode.is_approved.is_(_APPROVAL[params.approval_status]))
    if params.group is not None:
        statement = statement.where(WorkerNode.group == params.group)
    if params.search:
        columns = (WorkerNode.name, WorkerNode.hostname, WorkerNode.ip_address)
        text = params.search
        statement = statement.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
    return statement


async def of_all_projects(session: AsyncSession, params: AdminWorkerList) -> Rows[WorkerNode]:
    """Return the workers of all projects that match the filters, newest first."""
    query = filtered(select(WorkerNode), params)
    if params.project_id is not None:
        query = query.where(WorkerNode.project_id == params.project_id)
    return await paginate(
        session, query, params, sort=(WorkerNode.created_at, True), tiebreak=WorkerNode.id
    )


async def held_anywhere(session: AsyncSession, worker_id: str) -> WorkerNode:
    """Return a worker of any project that nobody else changes until the unit of work ends."""
    row: WorkerNode | None = await session.scalar(
        held(select(WorkerNode).where(WorkerNode.id == worker_id))
    )
    if row is None:
        raise WorkerNotFound
    return row


async def agents_of(session: AsyncSession, workers: Sequence[WorkerNode]) -> dict[str, int]:
    """Count the agents that are bound to each worker or its group, in the worker's project."""
    if not workers:
        return {}
    bound = or_(WorkerNode.id == _BOUND_TO, WorkerNode.group == _BOUND_TO)
    statement = (
        select(WorkerNode.id, func.count(Agent.id))
        .join(Agent, and_(bound, Agent.project_id == WorkerNode.project_id))
        .where(WorkerNode.id.in_([worker.id for worker in workers]), Agent.deleted_at.is_(None))
        .group_by(WorkerNode.id)
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


async def executors(session: AsyncSession) -> Sequence[Executor]:
    """Return the processes that execute runs, the oldest first."""
    statement = select(Executor).where(Executor.stopped_at.is_(None)).order_by(Executor.started_at)
    return (await session.scalars(statement)).all()
