"""Facts about worker nodes."""

from typing import ClassVar

from muster.platform.events import Event


class WorkerEvent(Event, frozen=True, kw_only=True):
    """Shared fields of the events about worker nodes."""

    subject: ClassVar[str] = "worker"
    worker_id: str
    name: str


class WorkerRegistered(WorkerEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "worker.registered"
    hostname: str | None


class WorkerUpdated(WorkerEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "worker.updated"
    changed: list[str]


class WorkerApproved(WorkerEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "worker.approved"
    group: str | None


class WorkerRejected(WorkerEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "worker.rejected"
    group: str | None


class WorkerDeleted(WorkerEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "worker.deleted"


class WorkerTaskClaimed(WorkerEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "worker.task_claimed"
    task_id: str
    lease_until: str


class WorkerOnline(WorkerEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "worker.online"


class WorkerOffline(WorkerEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "worker.offline"
    last_heartbeat_at: str
