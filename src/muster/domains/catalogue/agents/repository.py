"""Queries on agents."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents.errors import (
    AgentKeyTaken,
    AgentNotFound,
    AgentVersionNotFound,
)
from muster.domains.catalogue.agents.models import Agent, AgentVersion
from muster.domains.catalogue.agents.schemas import AgentList
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows, paginate
from muster.platform.projects import Project


class AgentRepository(Repository[Agent]):
    """The agents of one project. Deleted ones are found only where that is asked for."""

    model, missing, taken = Agent, AgentNotFound, AgentKeyTaken

    def query(self) -> Select[Any]:
        return super().query().where(Agent.deleted_at.is_(None))

    async def search(self, params: AgentList) -> Rows[Agent]:
        """Return agents that match the filters, newest first."""
        query = super().query() if params.include_inactive else self.query()
        if params.status_filter:
            query = query.where(Agent.status == params.status_filter)
        if params.environment:
            query = query.where(Agent.environment == params.environment)
        if params.role:
            query = query.where(Agent.role.icontains(params.role, autoescape=True))
        if params.search:
            columns = (Agent.name, Agent.key, Agent.role)
            text = params.search
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        return await self.page(query, params, (Agent.created_at, True))

    async def held(self, agent_id: str) -> Agent:
        """Return an agent that nobody else changes until the unit of work ends."""
        agent = await self.get_any(agent_id)
        if not agent.is_active:
            raise AgentNotFound
        return agent

    async def find_key(self, key: str) -> Agent | None:
        """Return the project's own agent with a key."""
        own = self.query().where(Agent.key == key, Agent.account_id.is_(None))
        found: Agent | None = await self.session.scalar(own)
        return found

    async def find_registered(self, account_id: str, key: str) -> Agent | None:
        """Return the agent that an account has registered with a key, a deactivated one too."""
        theirs = super().query().where(Agent.account_id == account_id, Agent.key == key)
        newest = theirs.order_by(Agent.deleted_at.is_(None).desc(), Agent.created_at.desc())
        found: Agent | None = await self.session.scalar(newest.limit(1))
        return found

    async def get_any(self, agent_id: str) -> Agent:
        """Return an agent, deactivated or not, that nobody else changes meanwhile."""
        agent = await hold_agent(self.session, agent_id)
        if agent is None or agent.project_id != self.project_id:
            raise AgentNotFound
        return agent

    async def keys_like(self, key: str) -> Sequence[str]:
        """Return the keys in use that begin with `key`; until the unit of work ends nobody else
        is told, so that two new agents of one name cannot take the same one.
        """
        project = select(Project.id).where(Project.id == self.project_id)
        await self.session.execute(project.with_for_update(key_share=True))
        statement = select(Agent.key).where(
            Agent.project_id == self.project_id,
            Agent.deleted_at.is_(None),
            Agent.key.startswith(key, autoescape=True),
        )
        return (await self.session.scalars(statement)).all()

    async def versions(self, agent: Agent, params: ListParams) -> Rows[AgentVersion]:
        """Return the versions of an agent, newest first."""
        statement = select(AgentVersion).where(AgentVersion.agent_id == agent.id)
        return await paginate(
            self.session,
            statement,
            params,
            sort=(AgentVersion.version, True),
            tiebreak=AgentVersion.agent_id,
        )

    async def version(self, agent: Agent, number: int) -> AgentVersion:
        """Return one version of an agent."""
        found = await self.session.get(AgentVersion, (agent.id, number))
        if found is None:
            raise AgentVersionNotFound
        return found


_HOLD = (
    select(Agent)
    .where(Agent.id == bindparam("of_agent"))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)


async def hold_agent(session: AsyncSession, agent_id: str) -> Agent | None:
    """Return an agent, deleted or not, that nobody else changes until the unit of work ends."""
    agent: Agent | None = await session.scalar(_HOLD, {"of_agent": agent_id})
    return agent
