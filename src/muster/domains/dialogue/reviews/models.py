"""Tables of code reviews."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord, Record, UTCDateTime


class CodeReview(ProjectRecord):
    """A change of code and what was decided about it. What was submitted is never changed.

    `origin` is the step of a run that submitted it: the same step, tried again, submits it once.
    """

    __tablename__ = "code_reviews"
    __table_args__ = (
        UniqueConstraint("project_id", "origin"),
        Index("ix_code_reviews_project_id_status_created_at", "project_id", "status", "created_at"),
        Index("ix_code_reviews_agent_id", "agent_id"),
    )

    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    repository: Mapped[str | None] = mapped_column(String(500))
    branch: Mapped[str | None] = mapped_column(String(255))
    diff: Mapped[str | None] = mapped_column(Text)
    files: Mapped[list[dict[str, str | None]]] = mapped_column(Json)
    file_count: Mapped[int]
    agent_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("agents.id", ondelete="SET NULL")
    )
    run_id: Mapped[str | None] = mapped_column(String(36))
    origin: Mapped[str | None] = mapped_column(String(160))
    submitted_by_id: Mapped[str] = mapped_column(String(64))
    submitted_by_name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16), default="pending")
    decided_by_id: Mapped[str | None] = mapped_column(String(64))
    decided_by_name: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    decision_comment: Mapped[str | None] = mapped_column(Text)


class CodeReviewComment(Record):
    """What somebody said about a change, about all of it or about a line of a file."""

    __tablename__ = "code_review_comments"
    __table_args__ = (
        Index("ix_code_review_comments_review_id_created_at", "review_id", "created_at"),
    )

    review_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("code_reviews.id", ondelete="CASCADE")
    )
    body: Mapped[str] = mapped_column(Text)
    file: Mapped[str | None] = mapped_column(String(500))
    line: Mapped[int | None]
    author_id: Mapped[str] = mapped_column(String(64))
    author_name: Mapped[str] = mapped_column(String(255))
