"""Queries on tools."""

from collections.abc import Collection, Sequence

from sqlalchemy import or_

from muster.domains.catalogue.tools.errors import ToolNameTaken, ToolNotFound
from muster.domains.catalogue.tools.models import Tool, ToolOverride
from muster.kernel.db import Repository


class ToolRepository(Repository[Tool]):
    """The tools that a project has defined."""

    model, missing, taken = Tool, ToolNotFound, ToolNameTaken

    async def all(self) -> Sequence[Tool]:
        """Return every tool of the project, by name."""
        return (await self.session.scalars(self.query().order_by(Tool.name))).all()

    async def matching(self, references: Collection[str]) -> Sequence[Tool]:
        """Return the tools that have one of these as their id, name or title, oldest first."""
        wanted = set(references)
        columns = (Tool.id, Tool.name, Tool.title)
        statement = self.query().where(or_(*(column.in_(wanted) for column in columns)))
        return (await self.session.scalars(statement.order_by(Tool.created_at))).all()


class OverrideRepository(Repository[ToolOverride]):
    """What a project sets differently about the tools of the product."""

    model = ToolOverride

    async def by_name(self) -> dict[str, ToolOverride]:
        """Return all of them."""
        return {row.name: row for row in await self.session.scalars(self.query())}
