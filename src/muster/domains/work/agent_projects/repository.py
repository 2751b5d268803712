"""Queries on agent projects; nobody sees those of others."""

from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.agent_projects.errors import AgentProjectNotFound, AgentProjectTaken
from muster.domains.work.agent_projects.models import AgentProject
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows


class AgentProjectRepository(Repository[AgentProject]):
    """The agent projects of one person in one project."""

    model, missing, taken = AgentProject, AgentProjectNotFound, AgentProjectTaken

    def __init__(self, session: AsyncSession, project_id: str, owner_id: str) -> None:
        super().__init__(session, project_id)
        self._owner_id = owner_id

    def query(self) -> Select[Any]:
        return super().query().where(AgentProject.owner_id == self._owner_id)

    async def list(self, params: ListParams) -> Rows[AgentProject]:
        """Return the person's agent projects, newest first."""
        return await self.page(self.query(), params, (AgentProject.created_at, True))

    async def by_key(self, key: str, *, held: bool = False) -> AgentProject:
        """Return one by the id that its owner gave it; held, nobody else changes it meanwhile."""
        query = self.query().where(AgentProject.key == key)
        if held:
            query = query.with_for_update(key_share=True)
        found: AgentProject | None = await self.session.scalar(query)
        if found is None:
            raise AgentProjectNotFound
        return found
