"""The approvals table."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord, UTCDateTime


class Approval(ProjectRecord):
    """A question to people. Bound to one step of one run and to the hash of its arguments, or to
    nothing when a person asks by hand. No foreign key to the run: the answer outlives it.
    """

    __tablename__ = "approvals"
    __table_args__ = (
        Index("ix_approvals_project_id_status_created_at", "project_id", "status", "created_at"),
        Index("ix_approvals_run_id_step_key", "run_id", "step_key"),
    )

    kind: Mapped[str] = mapped_column(String(24))
    run_id: Mapped[str | None] = mapped_column(String(36))
    step_key: Mapped[str | None] = mapped_column(String(64))
    agent_id: Mapped[str | None] = mapped_column(String(36))
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(Json)
    arguments_hash: Mapped[str | None] = mapped_column(String(64))
    arguments_schema: Mapped[dict[str, Any] | None] = mapped_column(Json)
    choices: Mapped[list[str] | None] = mapped_column(Json)
    requested_by_id: Mapped[str] = mapped_column(String(64))
    requested_by_name: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    status: Mapped[str] = mapped_column(String(16), default="pending")
    decided_by_id: Mapped[str | None] = mapped_column(String(64))
    decided_by_name: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reason: Mapped[str | None] = mapped_column(Text)
    choice: Mapped[str | None] = mapped_column(String(16))
    arguments: Mapped[dict[str, Any] | None] = mapped_column(Json)
