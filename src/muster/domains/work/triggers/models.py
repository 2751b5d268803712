"""Tables of triggers, of what they fired, and of how far the event log was followed."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Base, Json, ProjectRecord, UTCDateTime

PENDING = "pending"
QUEUED = "queued"
STARTED = "started"
SKIPPED = "skipped"
FAILED = "failed"


class Trigger(ProjectRecord):
    """What starts something by itself: at times, when called, or when something happened.

    What it starts is started for `owner_id`, whoever last said what it does. `next_at` is set for
    enabled triggers of type `cron` only; `since_seq` is the number of the newest event that was
    there when the trigger was enabled. The secret of a webhook is in the vault.
    """

    __tablename__ = "triggers"
    __table_args__ = (
        Index("ix_triggers_next_at", "next_at"),
        Index("ix_triggers_project_id_type", "project_id", "type"),
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(String(16))
    enabled: Mapped[bool] = mapped_column(default=True)
    config: Mapped[dict[str, Any]] = mapped_column(Json)
    target_kind: Mapped[str] = mapped_column(String(16))
    target: Mapped[str] = mapped_column(String(255))
    definition: Mapped[dict[str, Any] | None] = mapped_column(Json)
    inputs: Mapped[dict[str, Any] | None] = mapped_column(Json)
    owner_id: Mapped[str] = mapped_column(String(36))
    owner_name: Mapped[str] = mapped_column(String(255))
    next_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    since_seq: Mapped[int] = mapped_column(BigInteger, default=0)

    @property
    def vault_name(self) -> str:
        """Name of what the vault keeps for it."""
        return f"trigger.{self.id}"


class Firing(ProjectRecord):
    """One time that a trigger fired, or was kept from it.

    `due_key` names what it was fired by, so that whoever comes second inserts nothing. The run's id
    is chosen here: whoever launches it again after a crash launches the same run. A pending firing
    is in the hands of the process that counted `attempts` up, from `fired_at` until `launch_at`, or
    until a process has died that lived then; one without `fired_at` waits.
    """

    __tablename__ = "trigger_firings"
    __table_args__ = (
        UniqueConstraint("trigger_id", "due_key"),
        Index("ix_trigger_firings_status_launch_at", "status", "launch_at"),
        Index("ix_trigger_firings_run_id", "run_id"),
        Index("ix_trigger_firings_trigger_id_due_at", "trigger_id", "due_at"),
    )

    trigger_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("triggers.id", ondelete="CASCADE")
    )
    due_key: Mapped[str] = mapped_column(String(128))
    source: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    fired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[str] = mapped_column(String(36))
    starter_id: Mapped[str] = mapped_column(String(36))
    inputs: Mapped[dict[str, Any]] = mapped_column(Json)
    event_seq: Mapped[int | None] = mapped_column(BigInteger)
    event_type: Mapped[str | None] = mapped_column(String(80))
    depth: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    launch_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class TriggerCursor(Base):
    """How far the event log of a project was followed, moved with the firings it led to."""

    __tablename__ = "trigger_cursors"

    project_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(BigInteger)
