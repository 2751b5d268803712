"""Queries on agents."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, or_, select

from muster.domains.catalogue.agents.errors import (
    AgentKeyTaken,
    AgentNotFound,
    AgentVersionNotFound,
)
from muster.domains.catalogue.agents.models import Agent, AgentVersion
from muster.domains.catalogue.agents.schemas import AgentList
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows, paginate


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

    async def find_key(self, key: str) -> Agent | None:
        """Return the agent with a key."""
        found: Agent | None = await self.session.scalar(self.query().where(Agent.key == key))
        return found

    async def keys_like(self, key: str) -> Sequence[str]:
        """Return the keys in use that begin with `key`."""
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
