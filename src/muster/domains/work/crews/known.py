"""What there is in a project of all that a crew names: agents, tools and models, read once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import or_, select

from muster.domains.catalogue.agents import (
    EXTERNAL,
    Agent,
    AgentSpec,
    configuration_status,
    placeholders_of,
)
from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.catalogue.tools import ToolCatalogue
from muster.domains.work.plans import CrewSpec
from muster.kernel.db import Database

_MOST_SUGGESTED = 1_000

ToolFaults = dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What can be named, by every name that it has, and why some of it cannot be used.

    Args:
        agents: Ids, keys and names of stored agents.
        tools: Ids, names and titles of tools.
        models: Names of models.
        agent_faults: By reference, why a stored agent cannot run.
        tool_faults: By `agents.<key>` or `tasks.<key>` and the tool, why it cannot be used there.
        model_faults: By reference, why a model cannot be called.
        placeholders: By reference to a stored agent, what its texts leave to be filled.
    """

    agents: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    agent_faults: Mapping[str, str] = field(default_factory=dict[str, str])
    tool_faults: Mapping[tuple[str, str], str] = field(default_factory=ToolFaults)
    model_faults: Mapping[str, str] = field(default_factory=dict[str, str])
    placeholders: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


async def read_known(
    database: Database,
    project_id: str,
    spec: CrewSpec,
    *,
    models: ModelCatalogue,
    tools: ToolCatalogue,
) -> Known:
    """Return what there is of all that a crew names. Model servers may be asked: hold no session.

    Args:
        database: The database; a session is opened for the agents and closed before all else.
        project_id: The project.
        spec: The crew.
        models: The models of every project.
        tools: The tools of every project.
    """
    agents = await _agents(database, project_id, agents_named(spec))
    faults = {
        reference: fault
        for reference, agent in agents.named.items()
        if (fault := await _fault_of(agent, spec.model, project_id, models, tools))
    }
    callable_models, model_faults = await _models(project_id, models_named(spec), models)
    known_tools, tool_faults = await _tools(project_id, spec, tools)
    return Known(
        agents=frozenset(agents.names),
        tools=frozenset(known_tools),
        models=frozenset(callable_models),
        agent_faults=faults,
        tool_faults=tool_faults,
        model_faults=model_faults,
        placeholders={name: _placeholders(agent) for name, agent in agents.named.items()},
    )


def agents_named(spec: CrewSpec) -> set[str]:
    """Return the references to stored agents in a crew."""
    keys = {member.key for member in spec.agents}
    named = {m.reference or m.key for m in spec.agents if m.definition is None}
    named |= {task.agent for task in spec.tasks if task.agent and task.agent not in keys}
    if spec.manager_agent and spec.manager_agent not in keys:
        named.add(spec.manager_agent)
    return named


def models_named(spec: CrewSpec) -> set[str]:
    """Return the references to models in a crew."""
    named = {spec.model, spec.manager_llm}
    named |= {member.definition.llm for member in spec.agents if member.definition}
    named |= {task.llm_guardrail.llm_model for task in spec.tasks if task.llm_guardrail}
    return {name for name in named if name}


@dataclass(frozen=True, slots=True)
class _Agents:
    """Stored agents by the references to them, and everything that agents are called."""

    named: dict[str, Agent]
    names: set[str]


async def _agents(database: Database, project_id: str, references: Collection[str]) -> _Agents:
    stored = select(Agent).where(Agent.project_id == project_id, Agent.deleted_at.is_(None))
    columns = (Agent.id, Agent.key, Agent.name)
    named: dict[str, Agent] = {}
    names: set[str] = set()
    async with database.read() as session:
        if references:
            anyhow = or_(*(column.in_(references) for column in columns))
            found = (await session.scalars(stored.where(anyhow).order_by(Agent.created_at))).all()
            # A later entry wins: an id before a key, a key before a name, the oldest of a name.
            for column in ("name", "key", "id"):
                named |= {getattr(agent, column): agent for agent in reversed(found)}
        if set(references) - set(named):
            listed = stored.with_only_columns(Agent.key, Agent.name)
            newest = listed.order_by(Agent.created_at.desc()).limit(_MOST_SUGGESTED)
            for key, name in (await session.execute(newest)).all():
                names |= {key, name}
        session.expunge_all()
    named = {reference: named[reference] for reference in references if reference in named}
    return _Agents(named, names | set(named))


def _placeholders(agent: Agent) -> list[str]:
    spec = AgentSpec.model_validate(agent.spec)
    return [name for name in placeholders_of(spec) if name not in spec.inputs]


async def _fault_of(
    agent: Agent,
    model: str | None,
    project_id: str,
    models: ModelCatalogue,
    tools: ToolCatalogue,
) -> str | None:
    if agent.kind == EXTERNAL:
        return f"The agent {agent.name} runs elsewhere and cannot work in a crew."
    spec = AgentSpec.model_validate(agent.spec)
    if not spec.llm:
        spec = spec.model_copy(update={"llm": model})
    status = await configuration_status(project_id, spec, models, tools)
    if status.is_ready:
        return None
    return f"The agent {agent.name} cannot run yet: " + "; ".join(i.message for i in status.issues)


async def _models(
    project_id: str, references: Collection[str], models: ModelCatalogue
) -> tuple[set[str], dict[str, str]]:
    found = await models.problems(project_id, references)
    faults = {name: fault for name, fault in found.items() if fault}
    known = set(found) - set(faults)
    if faults:
        known |= {model.name for model in await models.names.all()} - set(faults)
    return known, faults


async def _tools(
    project_id: str, spec: CrewSpec, tools: ToolCatalogue
) -> tuple[set[str], ToolFaults]:
    owners: list[tuple[str, list[str], dict[str, dict[str, Any]]]] = [
        (f"agents.{member.key}", member.definition.tools, member.definition.tool_configs)
        for member in spec.agents
        if member.definition and member.definition.tools
    ]
    owners += [
        (f"tasks.{task.key}", task.tools, task.tool_configs) for task in spec.tasks if task.tools
    ]
    if not owners:
        return set(), {}
    known = {
        name
        for tool in await tools.all(project_id)
        for name in (tool.id, tool.name, tool.title)
        if name
    }
    faults: ToolFaults = {}
    for owner, names, configs in owners:
        for name in names:
            if (await tools.find(project_id, name)).definition is not None:
                known.add(name)
        for name, fault in await tools.problems(project_id, names, configs):
            faults.setdefault((owner, name), fault)
    return known, faults
