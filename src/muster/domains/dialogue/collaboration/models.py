"""Tables of collaboration sessions."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Base, Json, ProjectRecord, Record, UTCDateTime


class Collaboration(ProjectRecord):
    """A session. Whoever changes it or adds to it holds its row, so that nothing is lost."""

    __tablename__ = "collaborations"
    __table_args__ = (Index("ix_collaborations_project_id_created_at", "project_id", "created_at"),)

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="active")
    context: Mapped[dict[str, Any]] = mapped_column(Json)
    message_count: Mapped[int] = mapped_column(default=0)
    created_by_id: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(255))
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    closed_by_name: Mapped[str | None] = mapped_column(String(255))


class CollaborationParticipant(Base):
    """That an agent takes part in a session."""

    __tablename__ = "collaboration_participants"

    collaboration_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("collaborations.id", ondelete="CASCADE"), primary_key=True
    )
    agent_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    joined_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)


class CollaborationMessage(Record):
    """What was said in a session, numbered from one. Without an agent a person said it.

    `origin` is the step of a run that said it: the same step, tried again, says it once.
    """

    __tablename__ = "collaboration_messages"
    __table_args__ = (
        UniqueConstraint("collaboration_id", "seq"),
        UniqueConstraint("collaboration_id", "origin"),
    )

    collaboration_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("collaborations.id", ondelete="CASCADE")
    )
    seq: Mapped[int]
    agent_id: Mapped[str | None] = mapped_column(String(36))
    author_id: Mapped[str] = mapped_column(String(64))
    author_name: Mapped[str] = mapped_column(String(255))
    message: Mapped[str] = mapped_column(Text)
    message_type: Mapped[str] = mapped_column(String(40))
    run_id: Mapped[str | None] = mapped_column(String(36))
    origin: Mapped[str | None] = mapped_column(String(160))
