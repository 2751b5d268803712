"""The table of agent projects."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord, UTCDateTime


class AgentProject(ProjectRecord):
    """An agent that its owner builds. `key` is the id that the owner gave it."""

    __tablename__ = "agent_projects"
    __table_args__ = (
        UniqueConstraint("project_id", "key", name="uq_agent_projects_project_id_key"),
    )

    key: Mapped[str] = mapped_column(String(100))
    owner_id: Mapped[str] = mapped_column(String(36), index=True)
    visibility: Mapped[str] = mapped_column(String(16))
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    version: Mapped[int] = mapped_column(default=1)
    agent_id: Mapped[str | None] = mapped_column(String(36))
    workflow_id: Mapped[str | None] = mapped_column(String(36))
    published_version: Mapped[int | None]
    published_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
