"""Tables of deliveries."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Base, Json, ProjectRecord, UTCDateTime

PENDING, DELIVERING, DELIVERED, DEAD = "pending", "delivering", "delivered", "dead"


class Delivery(ProjectRecord):
    """One message to one receiver. `source_kind` says what kind of subscription wants it, and
    `source_id` which; no foreign key: the log outlives both the subscription and the event.

    `due_at` is when a process has to look at it next: while it waits, the time of the next attempt;
    while it is being delivered, the end of the lease of the process that does so (`claim`); null
    when nothing is to be done any more. `attempts` have begun, of `max_attempts`.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("source_kind", "source_id", "event_id"),
        Index("ix_deliveries_due_at", "due_at"),
        Index("ix_deliveries_project_id_created_at", "project_id", "created_at"),
    )

    source_kind: Mapped[str] = mapped_column(String(24))
    source_id: Mapped[str] = mapped_column(String(36))
    event_id: Mapped[str | None] = mapped_column(String(36))
    event_seq: Mapped[int | None]
    event_type: Mapped[str] = mapped_column(String(64))
    message: Mapped[dict[str, Any]] = mapped_column(Json)
    status: Mapped[str] = mapped_column(String(12), default=PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    claim: Mapped[str | None] = mapped_column(String(36))
    last_error: Mapped[str | None] = mapped_column(Text)
    delivered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class DeliveryAttempt(Base):
    """One attempt at a delivery. Rows are only ever inserted; `error` is text of ours."""

    __tablename__ = "delivery_attempts"

    delivery_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    duration_ms: Mapped[int | None]
    outcome: Mapped[str] = mapped_column(String(16))
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
