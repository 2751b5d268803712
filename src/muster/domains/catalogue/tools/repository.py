"""Queries on tools."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Select, String, bindparam, func, select

from muster.domains.catalogue.tools.errors import ToolNameTaken, ToolNotFound
from muster.domains.catalogue.tools.models import Tool, ToolOverride
from muster.kernel.db import Repository

_PROJECT: BindParameter[str] = bindparam("project_id", type_=String(36))
VERSION: Select[*tuple[Any, ...]] = select(
    select(func.count(Tool.id)).where(Tool.project_id == _PROJECT).scalar_subquery(),
    select(func.max(Tool.updated_at)).where(Tool.project_id == _PROJECT).scalar_subquery(),
    select(func.count(ToolOverride.id))
    .where(ToolOverride.project_id == _PROJECT)
    .scalar_subquery(),
    select(func.max(ToolOverride.updated_at))
    .where(ToolOverride.project_id == _PROJECT)
    .scalar_subquery(),
)
"""What changes whenever the tools of a project do, or what it sets differently about others."""


class ToolRepository(Repository[Tool]):
    """The tools that a project has defined."""

    model, missing, taken = Tool, ToolNotFound, ToolNameTaken

    async def all(self) -> Sequence[Tool]:
        """Return every tool of the project, by name."""
        return (await self.session.scalars(self.query().order_by(Tool.name))).all()

    async def by_age(self) -> Sequence[Tool]:
        """Return every tool of the project, the oldest first."""
        return (await self.session.scalars(self.query().order_by(Tool.created_at))).all()


class OverrideRepository(Repository[ToolOverride]):
    """What a project sets differently about the tools of the product."""

    model = ToolOverride

    async def by_name(self) -> dict[str, ToolOverride]:
        """Return all of them."""
        return {row.name: row for row in await self.session.scalars(self.query())}
