"""What a worker does with a task, as the steps that agents elsewhere log."""

from typing import Any

from muster.domains.work.logs import LoggedStep, read_step
from muster.domains.work.workers.models import WorkerNode
from muster.domains.work.workers.schemas import TaskResult, WorkUsage


def assignment(task_id: str, name: str, inputs: dict[str, Any], worker: WorkerNode) -> LoggedStep:
    """Return the step by which a worker takes a task."""
    properties = {"worker_id": worker.id, "worker": worker.name}
    return _step("task.start", task_id, name, input=inputs, properties=properties)


def outcome(task_id: str, body: TaskResult) -> list[LoggedStep]:
    """Return the steps of a report: what the models took, if it tells, and the end."""
    steps = [] if body.usage is None else [_taken(task_id, body.usage)]
    error = error_of(body)
    told = {"status": "failed", "error": error} if error else {}
    return [*steps, _step("task.end", task_id, "Result", output=body.result, **told)]


def error_of(body: TaskResult) -> dict[str, Any] | None:
    """Return why a task failed; None when it did not."""
    if body.status == "completed":
        return None
    if isinstance(body.error, dict):
        return {"code": "worker_failed", **body.error}
    return {"code": "worker_failed", "message": body.error or "The worker told no reason."}


def _taken(task_id: str, told: WorkUsage) -> LoggedStep:
    usage = told.model_dump(exclude_none=True)
    model: str = usage.pop("model", "")
    provider, _, name = model.rpartition("/")
    named = {"provider": provider, "model": name}
    properties = {"usage": usage, **{key: value for key, value in named.items() if value}}
    return _step("step.model", task_id, model or "Models", properties=properties)


def _step(kind: str, task_id: str, name: str, **more: Any) -> LoggedStep:
    # Whose step it is becomes known when the task is held.
    return read_step({"kind": kind, "task_id": task_id, "step_name": name, **more}, "")
