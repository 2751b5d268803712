"""Tables of workflows."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Base, Json, ProjectRecord, UTCDateTime


class Workflow(ProjectRecord):
    """A workflow as it is now.

    `definition` is what was written, in the notation that it was written in: what is executed is
    read from it, so that nothing of a document is lost that the plan has no words for. `config` is
    whatever a client of the fleet family keeps with it.
    """

    __tablename__ = "workflows"
    __table_args__ = (
        UniqueConstraint("project_id", "name", name="uq_workflows_project_id_name"),
        Index("ix_workflows_project_id_created_at", "project_id", "created_at"),
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    is_template: Mapped[bool] = mapped_column(default=False)
    notation: Mapped[str] = mapped_column(String(16))
    definition: Mapped[dict[str, Any]] = mapped_column(Json)
    config: Mapped[dict[str, Any]] = mapped_column(Json)
    node_count: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)


class WorkflowVersion(Base):
    """One state of a workflow. Rows are only ever inserted."""

    __tablename__ = "workflow_versions"

    workflow_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    note: Mapped[str | None] = mapped_column(String(255))
    created_by_id: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
