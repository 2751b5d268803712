"""Tables of crews and of what people think of them."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord

InOrder = JSON(none_as_null=True)
"""A JSON document that keeps the order of its keys: JSONB would sort them, and tasks are done in
the order in which they are written."""


class Crew(ProjectRecord):
    """A crew as it was saved. `agents_yaml` and `tasks_yaml` are what was sent, text or object;
    `agent_ids` and `task_ids` name stored agents and tasks; `nodes` and `edges` are a canvas.
    """

    __tablename__ = "crews"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index("ix_crews_project_id_created_at", "project_id", "created_at"),
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    agents_yaml: Mapped[Any] = mapped_column(InOrder, nullable=True)
    tasks_yaml: Mapped[Any] = mapped_column(InOrder, nullable=True)
    agent_ids: Mapped[list[str]] = mapped_column(Json)
    task_ids: Mapped[list[str]] = mapped_column(Json)
    nodes: Mapped[list[Any]] = mapped_column(InOrder)
    edges: Mapped[list[Any]] = mapped_column(InOrder)
    process: Mapped[str] = mapped_column(String(16))
    model: Mapped[str | None] = mapped_column(String(255))
    planning: Mapped[bool]
    planning_llm: Mapped[str | None] = mapped_column(String(255))
    reasoning: Mapped[bool]
    reasoning_llm: Mapped[str | None] = mapped_column(String(255))
    manager_llm: Mapped[str | None] = mapped_column(String(255))
    manager_agent: Mapped[str | None] = mapped_column(String(255))
    tool_configs: Mapped[dict[str, Any]] = mapped_column(InOrder)
    memory: Mapped[bool]
    verbose: Mapped[bool]
    max_rpm: Mapped[int | None]
    inputs: Mapped[dict[str, Any]] = mapped_column(InOrder)


class CrewFeedback(ProjectRecord):
    """What somebody thinks of a crew. Rows are only ever inserted."""

    __tablename__ = "crew_feedback"
    __table_args__ = (Index("ix_crew_feedback_crew_id_created_at", "crew_id", "created_at"),)

    crew_id: Mapped[str] = mapped_column(String(36), ForeignKey("crews.id", ondelete="CASCADE"))
    rating: Mapped[str] = mapped_column(String(4))
    comment: Mapped[str | None] = mapped_column(Text)
    created_by_id: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(255))
