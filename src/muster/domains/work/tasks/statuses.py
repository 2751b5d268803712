"""Statuses and priorities of tasks."""

from enum import StrEnum
from typing import Any

_OTHER_NAMES = {"medium": "normal", "urgent": "critical"}


class TaskStatus(StrEnum):
    """Where a task stands. A draft is in no queue."""

    DRAFT = "draft"
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
AT_WORK = frozenset({TaskStatus.RUNNING, TaskStatus.WAITING})


class TaskPriority(StrEnum):
    """Priority by name; the queue takes the higher ones first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """Return the place in the order of the queue: 1 is first."""
        return list(TaskPriority).index(self) + 1


def read_priority(value: Any) -> Any:
    """Read the spellings of a priority: any case, `medium`, and numbers, of which 1 is highest."""
    if isinstance(value, int) and not isinstance(value, bool):
        levels = list(TaskPriority)
        return levels[min(max(value, 1), len(levels)) - 1]
    if isinstance(value, str):
        name = value.strip().lower()
        return _OTHER_NAMES.get(name, name)
    return value
