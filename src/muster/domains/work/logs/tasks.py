"""Tasks of agents that run elsewhere: found, begun by their first step, ended by their last."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL, Agent, AgentInactive, AgentNotFound
from muster.domains.work.logs.models import ExternalTask
from muster.domains.work.runs import begin_external
from muster.kernel.db import Database
from muster.kernel.ids import new_id
from muster.platform.access import Caller, CallerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAgent:
    """The agent that logs. `version` tells whether its definition has changed since."""

    id: str
    project_id: str
    key: str
    name: str
    environment: str
    version: int

    @classmethod
    def of(cls, row: Any) -> "LogAgent":
        """Return the agent that a row tells of."""
        return cls(
            id=row.id,
            project_id=row.project_id,
            key=row.key,
            name=row.name,
            environment=row.environment,
            version=row.version,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """An agent that may log, and the run of its task, if the task has begun."""

    agent: LogAgent
    run_id: str | None


_AGENT = (
    Agent.id,
    Agent.project_id,
    Agent.key,
    Agent.name,
    Agent.environment,
    Agent.version,
    Agent.deleted_at,
)


def _query(which: ColumnElement[bool], theirs: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    task = and_(ExternalTask.agent_id == Agent.id, ExternalTask.task_id == bindparam("task_id"))
    return (
        select(*_AGENT, ExternalTask.run_id)
        .outerjoin(ExternalTask, task)
        .where(which, Agent.project_id == bindparam("project_id"), Agent.kind == EXTERNAL, theirs)
        .order_by(Agent.deleted_at.is_(None).desc(), Agent.created_at.desc())
        .limit(1)
    )


_OWN = Agent.account_id == bindparam("account_id")
_BY_ID = Agent.id == bindparam("agent")
_OF_KEY = _query(_BY_ID, _OWN)
# People log for the agents of the project itself too, such as one that cannot register.
_OF_PERSON = _query(_BY_ID, or_(_OWN, Agent.account_id.is_(None)))
_BY_NAME = _query(Agent.key == bindparam("agent"), _OWN)


async def find_task(database: Database, caller: Caller, agent_id: str, task_id: str) -> Found:
    """Return the agent with the run of its task.

    Raises `AgentNotFound` for agents of others as for those that nobody has, and `AgentInactive`.
    """
    query = _OF_KEY if caller.kind is CallerKind.AGENT_KEY else _OF_PERSON
    found = await _find(database, caller, query, agent_id, task_id)
    if found is None:
        raise AgentNotFound(
            "No agent with this id was registered by your account; register it with POST /agents."
        )
    return found


async def find_own_task(
    database: Database, caller: Caller, agent_key: str, task_id: str
) -> Found | None:
    """Return the agent that the caller's account has registered with a key, and its task."""
    return await _find(database, caller, _BY_NAME, agent_key, task_id)


async def _find(
    database: Database, caller: Caller, query: Select[*tuple[Any, ...]], agent: str, task_id: str
) -> Found | None:
    values = {
        "agent": agent,
        "task_id": task_id,
        "project_id": caller.project_id,
        "account_id": caller.id,
    }
    row = await database.peek(query, values)
    if row is None:
        return None
    if row.deleted_at is not None:
        raise AgentInactive(
            f"The agent {row.key} was deactivated; ask somebody who may change the agents of the "
            "project to activate it again."
        )
    return Found(LogAgent.of(row), row.run_id)


async def begin_task(
    session: AsyncSession,
    caller: Caller,
    agent_id: str,
    task_id: str,
    *,
    conversation: bool = False,
) -> str:
    """Return the run of a task; of many who begin one task at once, one makes the run."""
    task = ExternalTask.__table__
    run_id = new_id()
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    values = {
        "agent_id": agent_id,
        "task_id": task_id,
        "run_id": run_id,
        "project_id": caller.project_id,
        "is_conversation": conversation,
    }
    made = insert(task).values(values).on_conflict_do_nothing().returning(task.c.run_id)  # pyright: ignore[reportArgumentType]
    if (await session.execute(made)).first() is None:
        known = select(ExternalTask.run_id).where(
            ExternalTask.agent_id == agent_id, ExternalTask.task_id == task_id
        )
        return str((await session.execute(known)).scalar_one())
    agent = await session.get_one(Agent, agent_id)
    name = f"{agent.name}: {task_id}"
    await begin_external(
        session, caller, agent, run_id=run_id, name=name, facts={"task_id": task_id}
    )
    return run_id


async def set_idle(session: AsyncSession, run_id: str, idle_at: datetime | None) -> None:
    """Say when a conversation is to be taken for left; nobody else logs in it meanwhile."""
    statement = update(ExternalTask).where(ExternalTask.run_id == run_id).values(idle_at=idle_at)
    await session.execute(statement)
