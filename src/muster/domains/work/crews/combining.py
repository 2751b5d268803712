"""From a stored crew to what is compiled: its definitions, and the agents and tasks it names."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.crews.definitions import Definitions, read_both
from muster.domains.work.crews.errors import DefinitionsInvalid
from muster.domains.work.crews.linking import called, link
from muster.domains.work.crews.models import Crew
from muster.domains.work.plans import CrewMember, CrewSpec, Process, TaskSpec

_SHORT = 20_000
"""Texts up to this length are read at once; longer ones beside the event loop."""


class StoredTasks(Protocol):
    """Reads stored tasks of a project by their ids; those that are not there are left out."""

    def __call__(
        self, session: AsyncSession, project_id: str, ids: Sequence[str], /
    ) -> Awaitable[Mapping[str, TaskSpec]]: ...


async def no_stored_tasks(
    session: AsyncSession, project_id: str, ids: Sequence[str], /
) -> Mapping[str, TaskSpec]:
    """Read none: for a product in which tasks are not stored by themselves."""
    del session, project_id, ids
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewParts:
    """What a crew is made of, whether it is stored or was sent."""

    name: str | None
    description: str | None
    agents_yaml: Any
    tasks_yaml: Any
    agent_ids: list[str]
    task_ids: list[str]
    nodes: list[Any]
    edges: list[Any]
    process: Process
    model: str | None
    manager_llm: str | None
    manager_agent: str | None
    tool_configs: dict[str, Any]
    max_rpm: int | None
    memory: bool
    inputs: dict[str, Any]

    @classmethod
    def of(cls, crew: object, **changes: Any) -> Self:
        """Return the parts of a row or of a body, with changes of it."""
        names = [field.name for field in fields(cls)]
        given = {name: changes.get(name, getattr(crew, name)) for name in names}
        return cls(**given)


async def spec_of(session: AsyncSession, crew: Crew, stored_tasks: StoredTasks) -> CrewSpec:
    """Return what a stored crew is; raises `DefinitionsInvalid`.

    A stored task that is gone is there with nothing to do, for `problems_of` to tell.
    """
    tasks: Mapping[str, TaskSpec] = {}
    if crew.task_ids:
        tasks = await stored_tasks(session, crew.project_id, crew.task_ids)
    read = await read_beside(crew.agents_yaml, crew.tasks_yaml)
    if broken := [fault for fault in read.broken if not fault.bare]:
        raise DefinitionsInvalid(broken)
    return combine(CrewParts.of(crew), read, tasks)


def combine(parts: CrewParts, read: Definitions, stored: Mapping[str, TaskSpec]) -> CrewSpec:
    """Return the crew that parts make together.

    Those in `agents_yaml` and `tasks_yaml` go first, and stand in place of stored ones that they
    are called after. The crew's configurations of tools hold where an agent or task has none.
    """
    agents = [_configured(member, parts.tool_configs) for member in read.agents]
    for agent_id in dict.fromkeys(parts.agent_ids):
        if not any(called(member, agent_id) for member in agents):
            agents.append(CrewMember(key=agent_id, reference=agent_id))
    tasks = list(read.tasks)
    keys = {task.key for task in tasks}
    for task_id in dict.fromkeys(parts.task_ids):
        if task_id not in keys and f"task_{task_id}" not in keys:
            task = stored.get(task_id) or TaskSpec()
            tasks.append(task.model_copy(update={"key": task_id}))
    spec = CrewSpec(
        name=parts.name or "Crew",
        description=parts.description,
        process=parts.process,
        agents=agents,
        tasks=[_with_tools(task, parts.tool_configs) for task in tasks],
        model=parts.model,
        manager_llm=parts.manager_llm,
        manager_agent=parts.manager_agent or None,
        max_rpm=parts.max_rpm,
        memory=parts.memory,
        inputs=parts.inputs,
    )
    return link(spec, read.agent_names, read.task_names)


def _configured(member: CrewMember, configs: Mapping[str, Any]) -> CrewMember:
    agent = member.definition
    if agent is None:
        return member
    merged = _merged(agent.tools, agent.tool_configs, configs)
    definition = agent.model_copy(update={"tool_configs": merged})
    return member.model_copy(update={"definition": definition})


def _with_tools(task: TaskSpec, configs: Mapping[str, Any]) -> TaskSpec:
    merged = _merged(task.tools, task.tool_configs, configs)
    return task.model_copy(update={"tool_configs": merged})


def _merged(
    tools: Sequence[str], own: Mapping[str, dict[str, Any]], of_crew: Mapping[str, Any]
) -> dict[str, Any]:
    given = {tool: {**of_crew[tool], **own.get(tool, {})} for tool in tools if tool in of_crew}
    return {**own, **given}


async def read_beside(agents_yaml: Any, tasks_yaml: Any) -> Definitions:
    """Read definitions; long ones in a thread, so that nobody else has to wait."""
    if all(text is None or _is_short(text) for text in (agents_yaml, tasks_yaml)):
        return read_both(agents_yaml, tasks_yaml)
    return await asyncio.to_thread(read_both, agents_yaml, tasks_yaml)


def _is_short(source: Any) -> bool:
    return isinstance(source, str) and len(source) <= _SHORT
