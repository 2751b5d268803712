"""Facts about tasks."""

from typing import ClassVar

from muster.platform.events import Event


class TaskEvent(Event, frozen=True, kw_only=True):
    """Shared fields of the events about tasks."""

    subject: ClassVar[str] = "task"
    task_id: str
    name: str
    agent_id: str | None
    crew_id: str | None
    status: str


class TaskCreated(TaskEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.created"


class TaskUpdated(TaskEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.updated"
    changed: list[str]


class TaskDeleted(TaskEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.deleted"


class TaskRunEvent(TaskEvent, frozen=True, kw_only=True):
    """Shared fields of the events about a run of a task."""

    run_id: str | None


class TaskStarted(TaskRunEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.started"


class TaskWaiting(TaskRunEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.waiting"


class TaskReturned(TaskEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.returned"
    worker_id: str | None
    reason: str


class TaskCompleted(TaskRunEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.completed"


class TaskFailed(TaskRunEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.failed"
    code: str | None


class TaskCancelled(TaskRunEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "task.cancelled"
    reason: str | None
