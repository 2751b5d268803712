"""Tasks: pieces of work, the queue of agents that are started, and what became of each."""

from muster.domains.work.tasks.errors import (
    TaskAmbiguous,
    TaskAtWork,
    TaskEnded,
    TaskLeased,
    TaskNotForWorker,
    TaskNotFound,
    TaskNotLeased,
    TaskNotReady,
)
from muster.domains.work.tasks.following import follow_run
from muster.domains.work.tasks.leasing import TASK_RETURNED, TaskLeases, return_lapsed
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.queue import TaskQueue
from muster.domains.work.tasks.repository import TaskRepository, find_task
from muster.domains.work.tasks.schemas import TaskCreate, TaskOut
from muster.domains.work.tasks.service import TaskService
from muster.domains.work.tasks.spec import spec_of
from muster.domains.work.tasks.statuses import TaskPriority, TaskStatus

__all__ = [
    "TASK_RETURNED",
    "Task",
    "TaskAmbiguous",
    "TaskAtWork",
    "TaskCreate",
    "TaskEnded",
    "TaskLeased",
    "TaskLeases",
    "TaskNotForWorker",
    "TaskNotFound",
    "TaskNotLeased",
    "TaskNotReady",
    "TaskOut",
    "TaskPriority",
    "TaskQueue",
    "TaskRepository",
    "TaskService",
    "TaskStatus",
    "find_task",
    "follow_run",
    "return_lapsed",
    "spec_of",
]
