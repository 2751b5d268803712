"""Tables of incidents."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Json, ProjectRecord, Record, UTCDateTime

UNRESOLVED = "status <> 'resolved'"


class Incident(ProjectRecord):
    """A policy that an agent broke, once or again and again. The columns of the step, `action`,
    `severity` and `details` tell of the last time.

    `repeat_key` is a digest of the policy and the agent, in one column because a unique constraint
    takes nulls for different; of what is not resolved there is one for each. No foreign key to
    policy, agent or run: the incident outlives them.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        Index(
            "uq_incidents_project_id_repeat_key",
            "project_id",
            "repeat_key",
            unique=True,
            sqlite_where=text(UNRESOLVED),
            postgresql_where=text(UNRESOLVED),
        ),
        Index("ix_incidents_project_id_last_occurrence", "project_id", "last_occurrence"),
        Index("ix_incidents_run_id", "run_id"),
    )

    repeat_key: Mapped[str] = mapped_column(String(64))
    policy_id: Mapped[str | None] = mapped_column(String(36))
    policy_name: Mapped[str] = mapped_column(String(255))
    rule_type: Mapped[str | None] = mapped_column(String(64))
    agent_id: Mapped[str | None] = mapped_column(String(36))
    environment: Mapped[str | None] = mapped_column(String(32))
    severity: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default="open")
    title: Mapped[str] = mapped_column(String(300))
    description: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(20))
    details: Mapped[dict[str, Any]] = mapped_column(Json)
    task_id: Mapped[str | None] = mapped_column(String(255))
    run_id: Mapped[str | None] = mapped_column(String(36))
    step_name: Mapped[str | None] = mapped_column(String(255))
    step_kind: Mapped[str | None] = mapped_column(String(64))
    step_seq: Mapped[int | None]
    count: Mapped[int] = mapped_column(default=1)
    first_occurrence: Mapped[datetime] = mapped_column(UTCDateTime)
    last_occurrence: Mapped[datetime] = mapped_column(UTCDateTime)
    notes: Mapped[str | None] = mapped_column(Text)
    changed_by_id: Mapped[str | None] = mapped_column(String(64))
    changed_by_name: Mapped[str | None] = mapped_column(String(255))
    changed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class IncidentChange(Record):
    """One change of an incident's status. Rows are only ever inserted."""

    __tablename__ = "incident_changes"

    incident_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("incidents.id", ondelete="CASCADE"), index=True
    )
    from_status: Mapped[str | None] = mapped_column(String(16))
    to_status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    by_id: Mapped[str] = mapped_column(String(64))
    by_name: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
