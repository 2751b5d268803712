"""From a row to what the API shows."""

import asyncio
from typing import Any, cast

from muster.domains.work.plans import PlanProblem, WorkflowSpec
from muster.domains.work.workflows.models import Workflow
from muster.domains.work.workflows.notations import (
    Notation,
    Read,
    read_workflow,
    shown_steps,
)
from muster.domains.work.workflows.schemas import (
    StepOut,
    WorkflowOut,
    WorkflowSummary,
)
from muster.domains.work.workflows.validating import problems_of


def read_stored(workflow: Workflow) -> Read:
    """Return a workflow as it is read in its notation."""
    return read_workflow(workflow.definition, cast("Notation", workflow.notation))


def spec_of(workflow: Workflow) -> WorkflowSpec:
    """Return what of a workflow is executed."""
    spec = read_stored(workflow).spec
    description = workflow.description or spec.description
    return spec.model_copy(update={"name": workflow.name, "description": description})


def present_summary(workflow: Workflow) -> WorkflowSummary:
    """Return a workflow as lists show it."""
    return WorkflowSummary.model_validate({**_columns(workflow)})


async def read_checked(given: str | dict[str, Any] | list[Any]) -> tuple[Read, list[PlanProblem]]:
    """Read a workflow and say what is wrong with it, in a thread: a large one takes a while."""

    def check() -> tuple[Read, list[PlanProblem]]:
        read = read_workflow(given)
        return read, problems_of(read.spec, read=read)

    return await asyncio.to_thread(check)


async def present(workflow: Workflow, problems: list[PlanProblem] | None = None) -> WorkflowOut:
    """Return a workflow as the API shows it.

    Args:
        workflow: The workflow.
        problems: What is wrong with it, where that was looked at already.
    """
    read = read_stored(workflow)
    if problems is None:
        problems = await asyncio.to_thread(problems_of, read.spec, read=read)
    return WorkflowOut.model_validate(
        {
            **_columns(workflow),
            "definition": workflow.definition,
            "steps": present_steps(read),
            "problems": problems,
        }
    )


def present_steps(read: Read) -> list[StepOut]:
    """Return the nodes of a workflow as steps: those that were written as such, as written."""
    shown = shown_steps(read.spec)
    if read.notation != "steps":
        return [StepOut.model_validate({"id": step["name"], **step}) for step in shown]
    written: list[dict[str, Any]] = read.document.get("steps") or []
    return [_step(step, own) for step, own in zip(shown, written, strict=True)]


def _step(step: dict[str, Any], written: dict[str, Any]) -> StepOut:
    order = written.get("order")
    return StepOut(
        id=str(written.get("id") or step["name"]),
        name=step["name"],
        step_type=str(written.get("step_type") or written.get("type") or ""),
        order=order if isinstance(order, int | float) else step["order"],
        config=written.get("config") or {},
        agent_id=written.get("agent_id") or step["agent_id"],
        depends_on=step["depends_on"],
    )


def _columns(workflow: Workflow) -> dict[str, Any]:
    names = set(WorkflowSummary.model_fields) - {"group_id"}
    return {
        **{name: getattr(workflow, name) for name in names},
        "group_id": workflow.project_id,
    }
