"""What one can do with agent projects. Knows nothing of HTTP."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent, AgentService, AgentSpec
from muster.domains.work.agent_projects.errors import (
    AgentProjectIdInvalid,
    AgentTypeUnsupported,
    PublishingRefused,
    ToolPolicyInvalid,
    VisibilityInvalid,
    WorkflowDefinitionInvalid,
)
from muster.domains.work.agent_projects.events import (
    AgentProjectCreated,
    AgentProjectPublished,
    AgentProjectUpdated,
)
from muster.domains.work.agent_projects.models import AgentProject
from muster.domains.work.agent_projects.repository import AgentProjectRepository
from muster.domains.work.agent_projects.schemas import (
    SPEC_FIELDS,
    AgentProjectCreate,
    AgentProjectSpec,
    agent_key,
)
from muster.domains.work.agent_projects.tool_policy import policy_refused, read_policy
from muster.domains.work.plans import PlanProblem
from muster.domains.work.workflows import (
    Read,
    WorkflowInvalid,
    problems_of,
    publish_workflow,
    read_workflow,
)
from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import FieldError, Invalid
from muster.kernel.ids import new_id
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller, Scope

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_TOOLS = 128
_PUBLISHING = (Scope.AGENTS_WRITE, Scope.WORKFLOWS_WRITE)
_VISIBILITIES = ("private", "unlisted", "public")


class AgentProjectService:
    """Use cases of agent projects, for their owner."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._projects = AgentProjectRepository(session, caller.project_id, caller.id)

    async def list(self, params: ListParams) -> Rows[AgentProject]:
        return await self._projects.list(params)

    async def get(self, key: str) -> AgentProject:
        return await self._projects.by_key(key)

    async def create(self, body: AgentProjectCreate) -> AgentProject:
        """Make an agent project; without actions it can be saved, and not be published."""
        key = new_id() if body.id is None else body.id
        if not _ID.fullmatch(key):
            text = "An id has up to 100 letters, digits, dots, dashes and underscores."
            raise AgentProjectIdInvalid(text)
        _require_visibility(body.visibility)
        spec = {name: getattr(body, name) for name in SPEC_FIELDS}
        project = await self._projects.add(
            key=key,
            owner_id=self._caller.id,
            visibility=body.visibility,
            spec=_checked(spec),
            version=1,
        )
        fact = AgentProjectCreated(agent_project_id=project.id, key=key)
        events.record(self._session, self._caller, fact)
        return project

    async def change(self, key: str, changes: dict[str, Any]) -> AgentProject:
        """Change the given fields."""
        project = await self._projects.by_key(key, held=True)
        visibility = changes.pop("visibility", project.visibility)
        _require_visibility(visibility)
        spec = _checked({**project.spec, **changes})
        changed = sorted(name for name, value in spec.items() if project.spec.get(name) != value)
        if visibility != project.visibility:
            changed.append("visibility")
        if not changed:
            return project
        await self._projects.update(
            project, spec=spec, visibility=visibility, version=project.version + 1
        )
        fact = AgentProjectUpdated(
            agent_project_id=project.id, key=key, version=project.version, changed=changed
        )
        events.record(self._session, self._caller, fact)
        return project

    async def publish(
        self, key: str, master_key: MasterKey, named: Mapping[str, str]
    ) -> tuple[AgentProject, Agent]:
        """Make an agent and a workflow of it, or new versions of those that it was made into.

        Args:
            key: Of the agent project.
            master_key: Opens the vault.
            named: Names of its tools, by how it calls them.
        """
        if not all(self._caller.may(scope) for scope in _PUBLISHING):
            raise PublishingRefused
        project = await self._projects.by_key(key, held=True)
        read = read_definition(project.spec)
        if errors := [p for p in definition_problems(read) if p.severity == "error"]:
            raise _invalid(errors)
        policy = read_policy(project.spec["tool_policy"], named)
        tools = tools_of(project.spec, read)
        if broken := list(policy.problems(tools, read)):
            raise policy_refused(broken)
        agents = AgentService(self._session, self._caller, master_key)
        spec = _agent_of(project, policy.permitted(tools))
        known = await agents.find_key(agent_key(key))
        agent = await (agents.replace(known.id, spec) if known else agents.create(spec))
        workflow = await publish_workflow(self._session, self._caller, agent_key(key), read)
        await self._projects.update(
            project,
            agent_id=agent.id,
            workflow_id=workflow.id,
            published_version=project.version,
            published_at=clock.now(),
        )
        fact = AgentProjectPublished(
            agent_project_id=project.id,
            key=key,
            version=project.version,
            agent_id=agent.id,
            workflow_id=workflow.id,
        )
        events.record(self._session, self._caller, fact)
        return project, agent


def read_definition(spec: dict[str, Any]) -> Read:
    """Return the actions of an agent project; raises `WorkflowDefinitionInvalid`."""
    definition: dict[str, Any] = {
        "version": 2,
        "actions": [],
        **(spec.get("workflow_definition") or {}),
    }
    described = {**definition, "name": spec["name"]}
    if spec.get("default_model_ref"):
        described["default_model_ref"] = spec["default_model_ref"]
    try:
        return read_workflow(described, "actions")
    except WorkflowInvalid as error:
        raise WorkflowDefinitionInvalid(
            error.detail,
            details={"errors": [{"path": e.field, "message": e.message} for e in error.errors]},
        ) from error


def definition_problems(read: Read) -> list[PlanProblem]:
    """Return what is wrong with the actions; without any there is nothing to follow."""
    if not read.document["actions"]:
        return [PlanProblem("actions", "There are no actions; add get_user_input and send_output.")]
    return problems_of(read.spec, read=read)


def tools_of(spec: dict[str, Any], read: Read) -> list[str]:
    """Return the tools that an agent project names, those of its actions too."""
    called = [node.tool for node in read.spec.nodes if node.tool]
    return list(dict.fromkeys([*spec.get("tool_refs", []), *called]))


def permitted_tools(
    spec: dict[str, Any], read: Read, named: Mapping[str, str]
) -> tuple[list[str], list[PlanProblem]]:
    """Return the tools that an agent project may have, and what is wrong with its policy."""
    tools = tools_of(spec, read)
    try:
        policy = read_policy(spec["tool_policy"], named)
    except ToolPolicyInvalid as error:
        return tools, [PlanProblem(fault.field, fault.message) for fault in error.errors]
    return policy.permitted(tools), list(policy.problems(tools, read))


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    try:
        spec = AgentProjectSpec.model_validate(values)
    except ValidationError as error:
        found = [FieldError(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()[:20]]
        raise Invalid(
            "; ".join(f"{f.field}: {f.message}" for f in found[:5]), errors=found
        ) from error
    if spec.agent_type != "workflow":
        raise AgentTypeUnsupported("Only agents of type workflow can be built; leave it out.")
    if not isinstance(spec.tool_policy, dict):
        raise policy_refused([PlanProblem("tool_policy", "It must be an object.")])
    dumped = spec.model_dump(mode="json")
    read = read_definition(dumped)
    if read.document["actions"]:
        errors = [p for p in definition_problems(read) if p.severity == "error"]
        if errors:
            raise _invalid(errors)
    return dumped


def _invalid(problems: list[PlanProblem]) -> WorkflowDefinitionInvalid:
    return WorkflowDefinitionInvalid(
        "; ".join(f"{p.path}: {p.message}" for p in problems[:5]),
        errors=[FieldError(p.path, p.message) for p in problems],
        details={"errors": [{"path": p.path, "message": p.message} for p in problems]},
    )


def _require_visibility(visibility: Any) -> None:
    if visibility not in _VISIBILITIES:
        raise VisibilityInvalid(f"visibility must be one of {', '.join(_VISIBILITIES)}.")


def _agent_of(project: AgentProject, tools: list[str]) -> AgentSpec:
    spec = project.spec
    return AgentSpec(
        name=spec["name"],
        key=agent_key(project.key),
        description=spec["description"],
        instructions=spec["instructions"],
        llm=spec["default_model_ref"],
        tools=tools[:_MOST_TOOLS],
        kind="platform",
        visibility=project.visibility,  # pyright: ignore[reportArgumentType]
        owner_id=project.owner_id,
        metadata={"agent_project": project.key, "agent_project_version": project.version},
    )
