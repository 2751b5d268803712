"""Tables of the event log."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Base, Json, UTCDateTime
from muster.kernel.ids import new_id


class EventRecord(Base):
    """One fact. Rows are only ever inserted.

    `chain` is the project's id, or `platform` for what concerns no project; `seq` counts from 1
    without a gap within the chain. No foreign key binds the log to a project: the log outlives it.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("chain", "seq"),
        Index("ix_events_chain_type_seq", "chain", "type", "seq"),
        Index("ix_events_subject", "subject_type", "subject_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    chain: Mapped[str] = mapped_column(String(36))
    seq: Mapped[int]
    type: Mapped[str] = mapped_column(String(80))
    project_id: Mapped[str | None] = mapped_column(String(36))
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(String(255))
    subject_type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str | None] = mapped_column(String(128))
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    request_id: Mapped[str | None] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class EventChain(Base):
    """The head of a chain: locked while events are appended, so that numbers have no gap and are
    in the order of the commits, and a reader who has seen number n will not miss an n - 1.
    """

    __tablename__ = "event_chains"

    chain: Mapped[str] = mapped_column(String(36), primary_key=True)
    seq: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
