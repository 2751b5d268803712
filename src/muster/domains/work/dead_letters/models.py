"""The table of dead letters."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord, UTCDateTime

WAITING = "waiting"
RETRIED = "retried"


class DeadLetter(ProjectRecord):
    """A run that came to nothing, with what is needed to judge it and to start it again.

    No foreign key binds it to the run: what it tells stays when the run is gone.
    """

    __tablename__ = "dead_letters"
    __table_args__ = (
        UniqueConstraint("run_id"),
        Index("ix_dead_letters_project_id_status_failed_at", "project_id", "status", "failed_at"),
        Index("ix_dead_letters_retry_run_id", "retry_run_id"),
    )

    run_id: Mapped[str] = mapped_column(String(36))
    run_name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(16))
    agent_id: Mapped[str | None] = mapped_column(String(36))
    target: Mapped[dict[str, Any]] = mapped_column(Json)
    inputs: Mapped[dict[str, Any]] = mapped_column(Json)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    reason: Mapped[str | None] = mapped_column(Text)
    steps: Mapped[dict[str, Any]] = mapped_column(Json)
    attempts: Mapped[int] = mapped_column(default=1)
    source: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default=WAITING)
    failed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    retried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    retry_run_id: Mapped[str | None] = mapped_column(String(36))
