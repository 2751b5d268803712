"""Facts about tasks."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent(Event):
    """Shared fields of the events about tasks."""

    subject: ClassVar[str] = "task"
    task_id: str
    name: str
    agent_id: str | None
    crew_id: str | None
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCreated(TaskEvent):
    type: ClassVar[str] = "task.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUpdated(TaskEvent):
    type: ClassVar[str] = "task.updated"
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDeleted(TaskEvent):
    type: ClassVar[str] = "task.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRunEvent(TaskEvent):
    """Shared fields of the events about a run of a task."""

    run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(TaskRunEvent):
    type: ClassVar[str] = "task.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWaiting(TaskRunEvent):
    type: ClassVar[str] = "task.waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReturned(TaskEvent):
    type: ClassVar[str] = "task.returned"
    worker_id: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCompleted(TaskRunEvent):
    type: ClassVar[str] = "task.completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(TaskRunEvent):
    type: ClassVar[str] = "task.failed"
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(TaskRunEvent):
    type: ClassVar[str] = "task.cancelled"
    reason: str | None
