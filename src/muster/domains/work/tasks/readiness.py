"""Whether a task can be run, and if not, what it lacks."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL, Agent, AgentAmbiguous, AgentNotFound
from muster.domains.catalogue.agents import find_agent as find_catalogue_agent
from muster.domains.work.plans import ExpressionInvalid, TaskSpec, names_of
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.spelling import SCHEMA_NAMES
from muster.kernel.json_schema import schema_fault


class ToolChecks(Protocol):
    """Says what is wrong with tools."""

    async def problems(
        self, project_id: str, names: Sequence[str], configs: Mapping[str, dict[str, Any]]
    ) -> list[tuple[str, str]]:
        """Return (tool, what is wrong) for each tool that cannot be used."""
        ...


class TaskProblem(BaseModel):
    """One thing about a task, with the field that it is about."""

    field: str
    message: str


class TaskConfigurationStatus(BaseModel):
    """Whether a task can be run. Warnings keep it from nothing."""

    is_ready: bool
    problems: list[TaskProblem]
    warnings: list[TaskProblem]


async def find_agent(session: AsyncSession, project_id: str, reference: str | None) -> Agent | None:
    """Return the agent that a reference means: id, key or name; None where it means none."""
    if not reference:
        return None
    try:
        return await find_catalogue_agent(session, project_id, reference)
    except (AgentNotFound, AgentAmbiguous):
        return None


async def tool_problems(
    tools: ToolChecks,
    project_id: str,
    names: Sequence[str],
    configs: Mapping[str, dict[str, Any]],
) -> list[TaskProblem]:
    """Return what is wrong with the tools of a task. Reads by itself: hold nothing meanwhile."""
    if not names:
        return []
    found = await tools.problems(project_id, names, configs)
    return [TaskProblem(field=f"tools.{tool}", message=text) for tool, text in found]


async def configuration_status(
    session: AsyncSession, task: Task, agent: Agent | None, of_tools: Sequence[TaskProblem]
) -> TaskConfigurationStatus:
    """Look at everything that a task refers to.

    Args:
        session: A session of the database.
        task: The task.
        agent: The agent that it means, if there is one.
        of_tools: What is wrong with its tools.
    """
    spec = TaskSpec.model_validate(task.spec)
    problems = [
        *_of_agent(task.agent_reference, agent),
        *of_tools,
        *await _of_context(session, task, spec.context),
        *_of_expressions(spec),
        *_of_schema(spec),
    ]
    return TaskConfigurationStatus(
        is_ready=not problems, problems=problems, warnings=_warnings(task)
    )


def _of_agent(reference: str | None, agent: Agent | None) -> list[TaskProblem]:
    if not reference:
        text = "The task names no agent; set agent to the id, key or name of one."
    elif agent is None:
        text = f"There is no agent {reference}, or several are meant; GET /agents lists them."
    elif agent.kind == EXTERNAL:
        text = f"The agent {agent.name} runs elsewhere and cannot be run from here."
    else:
        return []
    return [TaskProblem(field="agent", message=text)]


async def _of_context(
    session: AsyncSession, task: Task, context: Sequence[str]
) -> list[TaskProblem]:
    if not context:
        return []
    named = or_(Task.id.in_(context), Task.name.in_(context), Task.key.in_(context))
    statement = select(Task.id, Task.name, Task.key).where(
        Task.project_id == task.project_id, Task.id != task.id, named
    )
    known = {name for row in await session.execute(statement) for name in row}
    return [
        TaskProblem(field="context", message=f"There is no other task {reference}.")
        for reference in dict.fromkeys(context)
        if reference not in known
    ]


def _of_expressions(spec: TaskSpec) -> list[TaskProblem]:
    problems: list[TaskProblem] = []
    for field, expression in (("guardrail", spec.guardrail), ("condition", spec.condition)):
        if expression is None:
            continue
        try:
            names = names_of(expression)
        except (ExpressionInvalid, RecursionError, MemoryError) as error:
            reason = error.detail if isinstance(error, ExpressionInvalid) else "it is too deep"
            problems.append(TaskProblem(field=field, message=reason))
            continue
        if field == "guardrail" and "output" not in names:
            text = "A guardrail is a condition on `output`, which this one does not look at."
            problems.append(TaskProblem(field=field, message=text))
    return problems


def _of_schema(spec: TaskSpec) -> list[TaskProblem]:
    fault = schema_fault(spec.output_schema) if spec.output_schema else None
    if fault is None:
        return []
    return [TaskProblem(field=f"output_schema.{fault.path}".rstrip("."), message=fault.advice)]


def _warnings(task: Task) -> list[TaskProblem]:
    warnings = [
        TaskProblem(
            field=name, message=f"{name} names a class; only a JSON Schema is held against outputs."
        )
        for name in SCHEMA_NAMES
        if isinstance(task.kept.get(name), str)
    ]
    if task.is_overdue:
        warnings.append(TaskProblem(field="deadline", message="The deadline has passed."))
    return warnings
