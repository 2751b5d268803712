"""The table of memories."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord, UTCDateTime


class AgentMemory(ProjectRecord):
    """Something that an agent is to know in later runs.

    `origin` is the step of a run that made it: the same step, tried again, makes no second one.
    """

    __tablename__ = "agent_memories"
    __table_args__ = (
        UniqueConstraint("agent_id", "origin"),
        Index("ix_agent_memories_agent_id_created_at", "agent_id", "created_at"),
    )

    agent_id: Mapped[str] = mapped_column(String(36), ForeignKey("agents.id", ondelete="CASCADE"))
    content: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(64))
    importance: Mapped[int]
    tags: Mapped[list[str]] = mapped_column(Json)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    source: Mapped[str | None] = mapped_column(String(255))
    run_id: Mapped[str | None] = mapped_column(String(36))
    origin: Mapped[str | None] = mapped_column(String(160))
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    access_count: Mapped[int] = mapped_column(default=0)
    last_accessed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
