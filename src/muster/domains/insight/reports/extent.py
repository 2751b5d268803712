"""What a report is about: a project, a period, some agents; and reading it as of one moment."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.kernel.db import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The bounds of a report; the end is not in it."""

    project_id: str
    begin: datetime
    end: datetime
    agent_ids: tuple[str, ...] = ()
    environment: str | None = None

    @property
    def is_of_some_agents(self) -> bool:
        return bool(self.agent_ids) or self.environment is not None

    def during(self, column: Any) -> ColumnElement[bool]:
        """Return the condition that a moment is in the period."""
        return and_(column >= self.begin, column < self.end)

    def own(self, project: Any, agent: Any) -> ColumnElement[bool]:
        """Return the condition that a row is of the project, and of the agents in question."""
        of_project: ColumnElement[bool] = project == self.project_id
        if not self.is_of_some_agents:
            return of_project
        return and_(of_project, agent.in_(select(Agent.id).where(self.chosen())))

    def chosen(self) -> ColumnElement[bool]:
        """Return the condition that an agent is one of those in question."""
        conditions: list[ColumnElement[bool]] = [Agent.project_id == self.project_id]
        if self.agent_ids:
            conditions.append(Agent.id.in_(self.agent_ids))
        if self.environment is not None:
            conditions.append(Agent.environment == self.environment)
        return and_(*conditions)


@asynccontextmanager
async def snapshot(database: Database) -> AsyncGenerator[AsyncSession]:
    """Yield a session that sees the database as of the moment of its first statement."""
    async with database.read() as session:
        # A transaction of SQLite is a snapshot by itself.
        if not database.is_sqlite:
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session
