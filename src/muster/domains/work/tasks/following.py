"""How a task moves with its run, each move with its event, in the unit of work of the run's."""

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import RunStatus
from muster.domains.work.tasks.events import (
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
    TaskWaiting,
)
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.statuses import TaskStatus
from muster.kernel import clock
from muster.kernel.db import after_commit
from muster.platform import events
from muster.platform.access import Caller

TOPIC = "tasks"
"""Tells the queues of all processes to look."""

_HOLD = (
    select(Task)
    .where(Task.id == bindparam("of_task"), Task.project_id == bindparam("of_project"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_STATUSES: dict[str, TaskStatus] = {
    "created": TaskStatus.PENDING,
    "started": TaskStatus.RUNNING,
    "resumed": TaskStatus.RUNNING,
    "waiting": TaskStatus.WAITING,
    RunStatus.RUNNING: TaskStatus.RUNNING,
    RunStatus.WAITING_FOR_APPROVAL: TaskStatus.WAITING,
    RunStatus.COMPLETED: TaskStatus.COMPLETED,
    RunStatus.FAILED: TaskStatus.FAILED,
    RunStatus.REJECTED: TaskStatus.FAILED,
    RunStatus.CANCELLED: TaskStatus.CANCELLED,
    RunStatus.STOPPED: TaskStatus.CANCELLED,
}


async def follow_run(
    session: AsyncSession,
    caller: Caller,
    task_id: str,
    run_id: str,
    status: str,
    result: Any,
    error: dict[str, Any] | None,
) -> None:
    """Let a task be as its run is.

    A run that is made or begins becomes the task's last one, unless another is under way; of other
    runs than the last one nothing is taken. A task that was deleted meanwhile is left alone.

    Args:
        session: The session in which the run changes.
        caller: Who changes it.
        task_id: The task.
        run_id: The run.
        status: created (keeps the queue from beginning another), started, resumed, waiting, or a
            status of runs; others change nothing.
        result: What a completed run came to.
        error: Why a run failed.
    """
    if status not in _STATUSES:
        return
    wanted = _STATUSES[status]
    task: Task | None = await session.scalar(
        _HOLD, {"of_task": task_id, "of_project": caller.project_id}
    )
    if task is None or not _is_its(task, run_id, wanted):
        return
    task.last_run_id, task.claimed_at = run_id, None
    if wanted is TaskStatus.PENDING:
        task.status, task.claimed_at = wanted.value, clock.now()
    elif wanted is TaskStatus.RUNNING:
        started(session, caller, task)
    elif wanted is TaskStatus.COMPLETED:
        completed(session, caller, task, result)
    elif wanted is TaskStatus.FAILED:
        failed(session, caller, task, error or {"code": status}, result=result)
    elif task.status != wanted:
        if wanted is TaskStatus.WAITING:
            task.status = wanted.value
            events.record(session, caller, TaskWaiting(**facts_of(task), run_id=run_id))
        else:
            cancelled(session, caller, task, _reason_of(error), result=result)
    await session.flush()
    wake_queue(session)


def _is_its(task: Task, run_id: str, wanted: TaskStatus) -> bool:
    """Tell whether a task is to follow a run."""
    if wanted is TaskStatus.PENDING:
        return not task.is_at_work
    if wanted is not TaskStatus.RUNNING:
        return task.last_run_id == run_id
    if task.last_run_id != run_id:
        return not task.is_at_work
    # One that was cancelled while this run was launched: the run is about to be ended.
    return task.status != TaskStatus.CANCELLED or task.claimed_at is None


def started(session: AsyncSession, caller: Caller, task: Task) -> None:
    """Let a task be at work; what an earlier run came to is forgotten."""
    if task.status == TaskStatus.RUNNING:
        return
    if task.status != TaskStatus.WAITING:
        task.started_at = clock.now()
    task.status, task.completed_at = TaskStatus.RUNNING.value, None
    task.result, task.error, task.worker_id = None, None, None
    events.record(session, caller, TaskStarted(**facts_of(task), run_id=task.last_run_id))


def completed(session: AsyncSession, caller: Caller, task: Task, result: Any) -> None:
    """Let a task have come to its result."""
    _end(task, TaskStatus.COMPLETED, result=result)
    events.record(session, caller, TaskCompleted(**facts_of(task), run_id=task.last_run_id))


def failed(
    session: AsyncSession,
    caller: Caller,
    task: Task,
    error: dict[str, Any],
    *,
    result: Any = None,
) -> None:
    """Let a task have failed."""
    _end(task, TaskStatus.FAILED, result=result, error=error)
    code = error.get("code")
    fact = TaskFailed(
        **facts_of(task), run_id=task.last_run_id, code=str(code)[:100] if code else None
    )
    events.record(session, caller, fact)


def cancelled(
    session: AsyncSession, caller: Caller, task: Task, reason: str | None, *, result: Any = None
) -> None:
    """Let a task be cancelled."""
    _end(task, TaskStatus.CANCELLED, result=result)
    fact = TaskCancelled(**facts_of(task), run_id=task.last_run_id, reason=reason)
    events.record(session, caller, fact)


def facts_of(task: Task) -> dict[str, Any]:
    """Return the shared fields of the events about a task."""
    return {
        "task_id": task.id,
        "name": task.name,
        "agent_id": task.agent_id,
        "crew_id": task.crew_id,
        "status": task.status,
    }


def wake_queue(session: AsyncSession) -> None:
    """Let the queues of all processes look when the unit of work is committed."""
    live = session.info.get("live")
    if live is None:
        return

    async def tell() -> None:
        live.publish(TOPIC, {"type": "changed"})

    after_commit(session, tell)


def _end(
    task: Task, status: TaskStatus, *, result: Any = None, error: dict[str, Any] | None = None
) -> None:
    task.status, task.completed_at, task.claimed_at = status.value, clock.now(), None
    task.lease_s, task.lease_until = None, None
    task.result, task.error = result, error


def _reason_of(error: dict[str, Any] | None) -> str | None:
    reason = (error or {}).get("message")
    return str(reason)[:1000] if reason else None
