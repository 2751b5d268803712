"""From a row to what the API shows: every documented spelling."""

from typing import Any

from muster.domains.catalogue.agents import Agent
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.readiness import TaskConfigurationStatus
from muster.domains.work.tasks.schemas import TaskOut
from muster.domains.work.tasks.spec import values_of
from muster.domains.work.tasks.spelling import SCHEMA_NAMES, shown_config


def present(
    task: Task, agent: Agent | None, status: TaskConfigurationStatus | None = None
) -> TaskOut:
    """Return a task as the API shows it.

    Args:
        task: The task.
        agent: The agent that it means, if there is one.
        status: Whether it can be run; None in lists.
    """
    spec: dict[str, Any] = task.spec
    kept: dict[str, Any] = task.kept
    schemas = {name: kept.get(name, spec.get("output_schema")) for name in SCHEMA_NAMES}
    values: dict[str, Any] = {
        "callback": None,
        "callback_config": None,
        "converter_cls": None,
        **values_of(task),
        **schemas,
    }
    return TaskOut.model_validate(
        {
            **values,
            "id": task.id,
            "task_id": task.id,
            "title": task.name,
            "agent": task.agent_reference,
            "agent_id": agent.id if agent else None,
            "agent_name": agent.name if agent else None,
            "required_tools": spec["tools"],
            "config": shown_config(kept.get("config", {}), values),
            "is_overdue": task.is_overdue,
            "status": task.status,
            "result": task.result,
            "output": task.result,
            "error": task.error,
            "last_run_id": task.last_run_id,
            "worker_id": task.worker_id,
            "lease_until": task.lease_until,
            "created_by": task.created_by_id,
            "created_by_name": task.created_by_name,
            "started_at": task.started_at,
            "completed_at": task.completed_at,
            "configuration_status": status,
            "group_id": task.project_id,
            "created_at": task.created_at,
            "updated_at": task.updated_at,
        }
    )
