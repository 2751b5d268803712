"""Whether an agent can be used, and if not, what it lacks."""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel
from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents.errors import (
    AgentAmbiguous,
    AgentNotFound,
    AgentNotReady,
    AgentRunsElsewhere,
)
from muster.domains.catalogue.agents.models import Agent
from muster.domains.catalogue.agents.spec import EXTERNAL, AgentSpec
from muster.kernel.json_schema import schema_fault
from muster.kernel.placeholders import misspelled_in, placeholders_in

_TEXTS = ("role", "goal", "backstory", "instructions", "prompt")


class ModelChecks(Protocol):
    """Says what is wrong with a reference to a model; None when it can be called."""

    async def problem(self, project_id: str, reference: str) -> str | None: ...


class ToolChecks(Protocol):
    """Says what is wrong with the tools of an agent."""

    async def problems(
        self, project_id: str, names: list[str], configs: Mapping[str, dict[str, Any]]
    ) -> list[tuple[str, str]]:
        """Return (tool, what is wrong) for each tool that cannot be used."""
        ...


class Issue(BaseModel):
    """One thing that an agent lacks."""

    field: str
    code: str
    message: str


class ConfigurationStatus(BaseModel):
    """Whether an agent can be used. `placeholders` are the inputs that its texts name."""

    is_ready: bool
    issues: list[Issue]
    placeholders: list[str]
    summary: str


def placeholders_of(spec: AgentSpec) -> list[str]:
    """Return the names of the placeholders in the agent's texts, in order."""
    return placeholders_in(*(getattr(spec, field) for field in _TEXTS))


async def configuration_status(
    project_id: str, spec: AgentSpec, models: ModelChecks, tools: ToolChecks
) -> ConfigurationStatus:
    """Look at everything that an agent refers to."""
    if spec.kind == EXTERNAL:
        summary = "The agent runs elsewhere; nothing is to be configured here."
        return ConfigurationStatus(is_ready=True, issues=[], placeholders=[], summary=summary)
    issues: list[Issue] = []
    if not spec.llm:
        text = "The agent names no model; set llm, for example to builtin/extractive."
        issues.append(Issue(field="llm", code="model_missing", message=text))
    elif problem := await models.problem(project_id, spec.llm):
        issues.append(Issue(field="llm", code="model_unavailable", message=problem))
    for tool, problem in await tools.problems(project_id, spec.tools, spec.tool_configs):
        issues.append(Issue(field=f"tools.{tool}", code="tool_unavailable", message=problem))
    issues += _text_issues(spec) + _schema_issues(spec)
    count = len(issues)
    summary = "Everything is configured." if not count else f"{count} thing(s) are missing."
    return ConfigurationStatus(
        is_ready=not issues,
        issues=issues,
        placeholders=placeholders_of(spec),
        summary=summary,
    )


def _text_issues(spec: AgentSpec) -> list[Issue]:
    issues: list[Issue] = []
    for field in _TEXTS:
        for name in misspelled_in(getattr(spec, field) or ""):
            text = f"{{{name}}} is no placeholder: use letters, digits and underscores."
            issues.append(Issue(field=field, code="placeholder_invalid", message=text))
    return issues


def _schema_issues(spec: AgentSpec) -> list[Issue]:
    fault = schema_fault(spec.output_schema) if spec.output_schema else None
    if fault is None:
        return []
    field = f"output_schema.{fault.path}".rstrip(".")
    return [Issue(field=field, code="schema_invalid", message=f"{field}: {fault.advice}")]


# Built once, as every start of a run needs it: to build it costs more than to execute it.
_BY_ID = select(Agent).where(
    Agent.project_id == bindparam("of_project"), Agent.id == bindparam("of_agent")
)


async def find_agent(
    session: AsyncSession, project_id: str, reference: str, *, deleted: bool = False
) -> Agent:
    """Return an agent by id, key or name, in this order; raises `AgentNotFound`.

    The project's own agents go before those that have registered themselves. Of the latter several
    may have one key, each of another account: raises `AgentAmbiguous`.

    Args:
        session: A session of the database.
        project_id: The project that the agent must belong to.
        reference: Id, key or name.
        deleted: Take deleted agents too, by their id.
    """
    parameters = {"of_project": project_id, "of_agent": reference}
    by_id: Agent | None = await session.scalar(_BY_ID, parameters)
    if by_id is not None and (deleted or by_id.is_active):
        return by_id
    named = select(Agent).where(
        Agent.project_id == project_id,
        Agent.deleted_at.is_(None),
        or_(Agent.key == reference, Agent.name == reference),
    )
    found = (await session.scalars(named.order_by(Agent.created_at))).all()
    if not found:
        raise AgentNotFound
    best = min(_rank(agent, reference) for agent in found)
    agents = [agent for agent in found if _rank(agent, reference) == best]
    if len(agents) > 1 and agents[0].account_id is not None:
        raise AgentAmbiguous(
            f"{len(agents)} agents with this key or name were registered by different accounts; "
            "give the id of the one you mean."
        )
    return agents[0]


def _rank(agent: Agent, reference: str) -> tuple[bool, bool]:
    return agent.key != reference, agent.account_id is not None


async def ready_snapshot(
    session: AsyncSession,
    agent: Agent,
    models: ModelChecks,
    tools: ToolChecks,
    *,
    model: str | None = None,
) -> dict[str, Any]:
    """Return the frozen definition that a run is ruled by.

    Raises `AgentNotReady`, and `AgentRunsElsewhere` for an agent that cannot be run here.

    Args:
        session: The reading session of the agent; its transaction ends here, because model
            servers may be asked and nothing is held meanwhile.
        agent: The agent.
        models: Answers for the model.
        tools: Answers for the tools.
        model: A model to use in place of the agent's own.
    """
    if agent.kind == EXTERNAL:
        raise AgentRunsElsewhere(
            f"The agent {agent.name} runs elsewhere: start it where it runs, and read here what it "
            "logs."
        )
    # Not a rollback: that would expire the agent that was just read.
    await session.commit()
    spec = AgentSpec.model_validate(agent.spec)
    if model:
        spec = spec.model_copy(update={"llm": model})
    status = await configuration_status(agent.project_id, spec, models, tools)
    if not status.is_ready:
        missing = "; ".join(issue.message for issue in status.issues)
        raise AgentNotReady(
            f"The agent {agent.name} cannot run yet: {missing}",
            details={"issues": [issue.model_dump() for issue in status.issues]},
        )
    return {"agent": spec.model_dump(mode="json"), "model": spec.llm, "version": agent.version}
