"""Tables of tools."""

from typing import Any

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord


class Tool(ProjectRecord):
    """A tool that a project has defined.

    `configuration` is by the schema of the kind and holds names of secrets, never their values.
    `functions` are what a tool of kind openapi or mcp offers, as found when it was last looked at.
    Without `idempotent` and `input_schema` the kind tells them from the configuration.
    """

    __tablename__ = "tools"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    name: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    icon: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    configuration: Mapped[dict[str, Any]] = mapped_column(Json)
    input_schema: Mapped[dict[str, Any] | None] = mapped_column(Json)
    functions: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    enabled: Mapped[bool] = mapped_column(default=True)
    requires_approval: Mapped[bool] = mapped_column(default=False)
    idempotent: Mapped[bool | None]
    timeout_s: Mapped[float | None]


class ToolOverride(ProjectRecord):
    """What a project sets differently about a tool that ships with the product."""

    __tablename__ = "tool_overrides"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    name: Mapped[str] = mapped_column(String(64))
    enabled: Mapped[bool] = mapped_column(default=True)
    requires_approval: Mapped[bool] = mapped_column(default=False)
    timeout_s: Mapped[float | None]
