"""Facts about worker nodes."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEvent(Event):
    """Shared fields of the events about worker nodes."""

    subject: ClassVar[str] = "worker"
    worker_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRegistered(WorkerEvent):
    type: ClassVar[str] = "worker.registered"
    hostname: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUpdated(WorkerEvent):
    type: ClassVar[str] = "worker.updated"
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerApproved(WorkerEvent):
    type: ClassVar[str] = "worker.approved"
    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRejected(WorkerEvent):
    type: ClassVar[str] = "worker.rejected"
    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDeleted(WorkerEvent):
    type: ClassVar[str] = "worker.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTaskClaimed(WorkerEvent):
    type: ClassVar[str] = "worker.task_claimed"
    task_id: str
    lease_until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOnline(WorkerEvent):
    type: ClassVar[str] = "worker.online"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOffline(WorkerEvent):
    type: ClassVar[str] = "worker.offline"
    last_heartbeat_at: str
