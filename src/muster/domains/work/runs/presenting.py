"""From a row of the journal to what the API shows."""

from collections.abc import Sequence
from typing import Any

from muster.domains.catalogue.agents import EXTERNAL
from muster.domains.work.journal import PLAN_KINDS, Run, RunStatus
from muster.domains.work.runs.schemas import (
    ExecutionOut,
    ExecutionStatusOut,
    RunProgress,
    RunUsage,
    StartedBy,
)

_OF_TASKS = frozenset({"task", EXTERNAL})
MASK = "***REDACTED***"
_SECRET_WORDS = ("password", "secret", "token", "api_key", "apikey", "authorization", "credential")


def present(run: Run) -> ExecutionOut:
    """Return a run as the API shows it."""
    elapsed = None
    if run.started_at and run.completed_at:
        elapsed = round((run.completed_at - run.started_at).total_seconds() * 1000, 1)
    agent: dict[str, Any] = run.snapshot.get("agent", {})
    return ExecutionOut(
        id=run.id,
        execution_id=run.id,
        run_name=run.name,
        name=run.name,
        execution_type=run.kind,
        task_id=run.target_id if run.kind in _OF_TASKS else None,
        crew_id=run.target_id if run.kind == "crew" else None,
        workflow_id=run.target_id if run.kind == "workflow" else None,
        status=run.status,
        agent_id=run.agent_id,
        agent_name=None if run.kind in PLAN_KINDS else agent.get("name"),
        agent_version=run.agent_version,
        model=run.snapshot.get("model"),
        inputs=mask(run.inputs),
        result=run.result,
        result_data=as_object(run.result),
        error=run.error,
        status_reason=run.status_reason,
        usage=usage_of(run),
        origin=run.origin,
        origin_run_id=run.origin_run_id,
        origin_seq=run.origin_seq,
        parent_run_id=run.parent_run_id,
        started_by=StartedBy(
            kind=run.started_by_kind, id=run.started_by_id, name=run.started_by_name
        ),
        priority=run.priority,
        timeout_s=run.timeout_s,
        segment=run.segment,
        steps=run.head_seq,
        head_hash=run.head_hash,
        duration_ms=elapsed,
        group_id=run.project_id,
        created_at=run.created_at,
        started_at=run.started_at,
        completed_at=run.completed_at,
        updated_at=run.updated_at,
    )


def usage_of(run: Run) -> RunUsage:
    """Return a run's usage; the cost is unknown as long as one call of it is."""
    return RunUsage(
        input_tokens=run.input_tokens,
        output_tokens=run.output_tokens,
        total_tokens=run.input_tokens + run.output_tokens,
        cached_tokens=run.cached_tokens,
        reasoning_tokens=run.reasoning_tokens,
        model_calls=run.model_calls,
        tool_calls=run.tool_calls,
        cost=None if run.unpriced_calls else run.cost,
        known_cost=run.cost,
        unpriced_calls=run.unpriced_calls,
    )


def present_status(
    run: Run, done: int | None = None, at_work: Sequence[str] = ()
) -> ExecutionStatusOut:
    """Return where a run stands.

    Args:
        run: The run.
        done: How many nodes of its plan have come to their end; of a run of a plan.
        at_work: What its plan is at, by name.
    """
    if done is None:
        done = int(run.status == RunStatus.COMPLETED)
        working = run.status in {RunStatus.PREPARING, RunStatus.RUNNING, RunStatus.STOPPING}
        at_work = [run.name] if working else []
    nodes: list[Any] = run.snapshot.get("plan", {}).get("nodes", [None])
    return ExecutionStatusOut(
        execution_id=run.id,
        status=run.status,
        is_stopping=run.status == RunStatus.STOPPING,
        stopped_at=run.completed_at if run.status == RunStatus.STOPPED else None,
        stop_reason=run.status_reason,
        progress=RunProgress(
            # What no path has led to is not waited for any more.
            total_tasks=done if run.status == RunStatus.COMPLETED else max(len(nodes), done),
            completed_tasks=done,
            running_tasks=len(at_work),
            current_task=", ".join(at_work) or None,
            steps=run.head_seq,
            model_calls=run.model_calls,
            tool_calls=run.tool_calls,
        ),
    )


def mask(value: Any, name: str = "") -> Any:
    """Return inputs with everything masked whose name says that it is secret."""
    if isinstance(value, dict):
        # What lies inside something secret is secret, whatever it is called.
        inside = name if _is_secret(name, None) else None
        return {key: mask(inner, inside or str(key)) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list):
        return [mask(inner, name) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return MASK if value is not None and _is_secret(name, value) else value


def may_be_masked(text: bytes) -> bool:
    """Tell whether `mask` could change the value of this JSON: a quick look at its letters."""
    return _names_secret(text.decode())


def _is_secret(name: str, value: Any) -> bool:
    if isinstance(value, int | float) and name.lower().endswith("tokens"):
        return False  # a number of tokens, such as `max_tokens`
    return _names_secret(name)


def _names_secret(text: str) -> bool:
    lowered = text.lower().replace("-", "_")
    return any(word in lowered for word in _SECRET_WORDS)


def as_object(result: Any) -> dict[str, Any] | None:
    """Return a result as an object, whatever it is."""
    if result is None or isinstance(result, dict):
        return result  # pyright: ignore[reportUnknownVariableType]
    if isinstance(result, bool):
        return {"success": result}
    if isinstance(result, list):
        return {"items": result}
    return {"value": result}
