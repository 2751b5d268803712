"""The table of worker nodes."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Json, ProjectRecord, UTCDateTime

ONLINE_FOR = timedelta(seconds=60)
"""How long after a heartbeat a worker counts as online."""


class WorkerNode(ProjectRecord):
    """A machine that has registered itself, and what it told of itself last.

    `is_approved` is null until an admin has decided. `told_online` is what the last event said:
    whether the worker is online now is read from `heartbeat_at` alone.
    """

    __tablename__ = "worker_nodes"
    __table_args__ = (
        UniqueConstraint("project_id", "name", name="uq_worker_nodes_project_id_name"),
        Index("ix_worker_nodes_told_online_heartbeat_at", "told_online", "heartbeat_at"),
    )

    name: Mapped[str] = mapped_column(String(255))
    hostname: Mapped[str | None] = mapped_column(String(255))
    ip_address: Mapped[str | None] = mapped_column(String(64))
    max_agents: Mapped[int] = mapped_column(default=1)
    cpu_cores: Mapped[int | None]
    memory_total_mb: Mapped[int | None] = mapped_column(BigInteger)
    os_info: Mapped[Any | None] = mapped_column(Json)
    group: Mapped[str | None] = mapped_column(String(255))
    is_approved: Mapped[bool | None]
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    decided_by_id: Mapped[str | None] = mapped_column(String(64))
    registered_by_id: Mapped[str] = mapped_column(String(64))
    cpu_usage_percent: Mapped[float | None]
    memory_usage_percent: Mapped[float | None]
    disk_usage_percent: Mapped[float | None]
    heartbeat_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    told_online: Mapped[bool] = mapped_column(default=False)

    def is_online(self, moment: datetime | None = None) -> bool:
        """Tell whether the worker gave a sign of life lately."""
        if self.heartbeat_at is None:
            return False
        return (moment or clock.now()) - self.heartbeat_at <= ONLINE_FOR

    @property
    def bound_as(self) -> list[str]:
        """Return what agents that are bound to the worker have as their `worker_id`."""
        return [self.id, *([self.group] if self.group else [])]

    @property
    def approval_status(self) -> str:
        """Return pending, approved or rejected."""
        if self.is_approved is None:
            return "pending"
        return "approved" if self.is_approved else "rejected"
