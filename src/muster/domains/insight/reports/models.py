"""The reports table."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord, UTCDateTime


class Report(ProjectRecord):
    """A report that was asked for, and how far it is. What was made lies in the blob store.

    `attempt` grows each time a process takes it up, and only the one with the newest number may
    write; `job` grows each time it is given to the engine, which knows a job for ever.
    """

    __tablename__ = "reports"
    __table_args__ = (
        Index("ix_reports_project_id_created_at", "project_id", "created_at"),
        Index("ix_reports_status", "status"),
    )

    title: Mapped[str] = mapped_column(String(255))
    format: Mapped[str] = mapped_column(String(8))
    period_from: Mapped[datetime] = mapped_column(UTCDateTime)
    period_to: Mapped[datetime] = mapped_column(UTCDateTime)
    agent_ids: Mapped[list[str] | None] = mapped_column(Json)
    environment: Mapped[str | None] = mapped_column(String(16))
    framework: Mapped[str | None] = mapped_column(String(64))
    created_by_id: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(255))

    status: Mapped[str] = mapped_column(String(16), default="queued")
    progress: Mapped[int] = mapped_column(default=0)
    phase: Mapped[str] = mapped_column(String(24), default="waiting")
    error: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(default=0)
    job: Mapped[int] = mapped_column(default=1)
    as_of: Mapped[datetime | None] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))

    @property
    def job_id(self) -> str:
        """Name of the engine's job that makes it."""
        return f"report:{self.id}:{self.job}"
