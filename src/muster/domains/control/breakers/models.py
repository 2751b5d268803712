"""The table of circuit breakers."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Record, UTCDateTime


class CircuitBreaker(Record):
    """What all processes know about one other side. No row: closed, and nothing has failed.

    Providers of the operator have one for the whole platform (`project_id` is null); what projects
    set up has one in its project. `key` is both parts of the identity in one column, because a
    unique constraint takes nulls for different. The five numbers are null where the defaults hold.
    Without `probe_at` an open one stays open until a person closes it.
    """

    __tablename__ = "circuit_breakers"

    key: Mapped[str] = mapped_column(String(360), unique=True)
    project_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(300))
    failure_threshold: Mapped[int | None]
    window_s: Mapped[float | None]
    open_s: Mapped[float | None]
    half_open_max: Mapped[int | None]
    success_threshold: Mapped[int | None]

    state: Mapped[str] = mapped_column(String(12), default="closed")
    failures: Mapped[int] = mapped_column(default=0)
    first_failure_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_failure_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    opened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    probe_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    probes: Mapped[int] = mapped_column(default=0)
    probed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    successes: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(Text)
