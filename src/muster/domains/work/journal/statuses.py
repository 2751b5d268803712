"""Statuses of runs and steps."""

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    PREPARING = "preparing"
    RUNNING = "running"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset(
    {
        RunStatus.COMPLETED,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
        RunStatus.STOPPED,
        RunStatus.REJECTED,
    }
)
ACTIVE = frozenset(RunStatus) - FINAL


PLAN_KINDS = ("task", "crew", "workflow")
"""Kinds of runs that walk a plan; the others are of one agent, or of something outside."""


class StepKind(StrEnum):
    """Kinds of steps: the vocabulary of governance."""

    TASK_START = "task.start"
    TASK_END = "task.end"
    TASK_ERROR = "task.error"
    TASK_IDLE = "task.idle"
    MODEL = "step.model"
    RESOURCE = "step.resource"
    MESSAGE = "step.message"
    EXEC = "step.exec"
    GATE = "step.gate"
    CREDENTIAL = "step.credential"
    SELF = "step.self"
    UNKNOWN = "step.unknown"


class StepStatus(StrEnum):
    """How a step ended."""

    OK = "ok"
    ERROR = "error"
    BLOCKED = "blocked"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
