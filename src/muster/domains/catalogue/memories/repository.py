"""Queries on memories."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, String, bindparam, cast, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.memories.errors import MemoryNotFound
from muster.domains.catalogue.memories.models import AgentMemory
from muster.domains.catalogue.memories.schemas import MemoryList
from muster.kernel import clock
from muster.kernel.db import Database, Repository
from muster.kernel.paging import Rows

# Built once: every run of an agent asks.
_ANY = select(AgentMemory.id).where(AgentMemory.agent_id == bindparam("agent_id")).limit(1)


async def has_memories(database: Database, agent_id: str) -> bool:
    """Tell whether an agent remembers anything, be it out of date."""
    return await database.peek(_ANY, {"agent_id": agent_id}) is not None


class MemoryRepository(Repository[AgentMemory]):
    """The memories of the agents of one project. Those that have expired are not there any more."""

    model, missing = AgentMemory, MemoryNotFound

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        super().__init__(session, project_id)
        self._now = clock.now()

    def query(self) -> Select[Any]:
        expires = AgentMemory.expires_at
        return super().query().where(or_(expires.is_(None), expires > self._now))

    def of(self, agent_id: str) -> Select[Any]:
        """Return the statement that finds the memories of one agent."""
        return self.query().where(AgentMemory.agent_id == agent_id)

    async def search(self, agent_id: str, params: MemoryList) -> Rows[AgentMemory]:
        """Return memories of an agent that match the filters."""
        query = self.of(agent_id)
        if params.category:
            query = query.where(AgentMemory.category == params.category.lower())
        if params.min_importance:
            query = query.where(AgentMemory.importance >= params.min_importance)
        if params.search:
            columns = (AgentMemory.content, cast(AgentMemory.tags, String))
            text = params.search
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        by = AgentMemory.importance if params.sort == "importance" else AgentMemory.created_at
        return await self.page(query, params, (by, True))

    async def held(self, id: str) -> AgentMemory:
        """Return a memory that nobody else changes until the unit of work ends."""
        query = self.query().where(AgentMemory.id == id)
        held = query.with_for_update().execution_options(populate_existing=True)
        found: AgentMemory | None = await self.session.scalar(held)
        if found is None:
            raise MemoryNotFound
        return found

    async def all(self, agent_id: str, category: str | None) -> Sequence[AgentMemory]:
        """Return all memories of an agent, of one category where that is given."""
        query = self.of(agent_id)
        if category:
            query = query.where(AgentMemory.category == category.lower())
        return (await self.session.scalars(query)).all()

    async def find_origin(self, agent_id: str, origin: str) -> AgentMemory | None:
        """Return the memory that a step of a run has made."""
        query = super().query().where(AgentMemory.agent_id == agent_id)
        found: AgentMemory | None = await self.session.scalar(
            query.where(AgentMemory.origin == origin)
        )
        return found

    async def expired(self, agent_id: str) -> Sequence[AgentMemory]:
        """Return memories of an agent whose time is over."""
        query = super().query().where(AgentMemory.agent_id == agent_id)
        return (await self.session.scalars(query.where(AgentMemory.expires_at <= self._now))).all()

    async def count(self, agent_id: str) -> int:
        """Return how many memories an agent has."""
        query = select(func.count()).select_from(self.of(agent_id).subquery())
        return await self.session.scalar(query) or 0

    async def least(self, agent_id: str) -> AgentMemory | None:
        """Return the memory that is missed least, held: the oldest of the least important.

        None where somebody has deleted it in this moment.
        """
        order = (AgentMemory.importance, AgentMemory.created_at, AgentMemory.id)
        query = self.of(agent_id).order_by(*order).limit(1).with_for_update()
        found: AgentMemory | None = await self.session.scalar(query)
        return found

    async def touch(self, ids: Collection[str], moment: datetime) -> Sequence[AgentMemory]:
        """Count that memories were recalled, and return them."""
        chosen = AgentMemory.id.in_(ids)
        statement = (
            update(AgentMemory)
            .where(AgentMemory.project_id == self.project_id, chosen)
            .values(
                access_count=AgentMemory.access_count + 1,
                last_accessed_at=moment,
                updated_at=AgentMemory.updated_at,  # it says the same as before
            )
        )
        await self.session.execute(statement, execution_options={"synchronize_session": False})
        return (await self.session.scalars(self.query().where(chosen))).all()

    async def figures(self, agent_id: str) -> dict[str, Any]:
        """Return what all memories of an agent come to."""
        of = self.of(agent_id).subquery().c
        figures = select(
            func.count(of.id).label("total"),
            func.avg(of.importance).label("average_importance"),
            func.coalesce(func.sum(func.length(of.content)), 0).label("characters"),
            func.coalesce(func.sum(of.access_count), 0).label("access_count"),
            func.max(of.last_accessed_at).label("last_accessed_at"),
            func.min(of.created_at).label("oldest_at"),
            func.max(of.created_at).label("newest_at"),
        )
        by_category = select(of.category, func.count()).group_by(of.category).order_by(of.category)
        found = (await self.session.execute(figures)).mappings().one()
        categories = (await self.session.execute(by_category)).all()
        return {**found, "by_category": {row[0]: row[1] for row in categories}}
