"""Tables of the engine's own: who executes, and what must be cancelled elsewhere.

The jobs themselves are rows of DBOS, in the system database.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Base, UTCDateTime


class Executor(Base):
    """The lease of one process; every start is a new row, as is a lease after a lost one."""

    __tablename__ = "executors"
    __table_args__ = (Index("ix_executors_stopped_at", "stopped_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(BigInteger)
    boot: Mapped[str] = mapped_column(String(120))
    process_started: Mapped[str] = mapped_column(String(60))
    version: Mapped[str] = mapped_column(String(60))
    concurrency: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UTCDateTime)
    heartbeats: Mapped[int] = mapped_column(BigInteger, default=0)
    stopped_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Set by its owner at the end, or by whoever found it dead: the lease is over either way."""


class JobSignal(Base):
    """A wish to cancel a job that another process executes."""

    __tablename__ = "job_signals"

    job_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    reason: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
