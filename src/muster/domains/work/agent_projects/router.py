"""HTTP surface of agent projects."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.requests import HTTPConnection

from muster.domains.work.agent_projects.checking import missing_references
from muster.domains.work.agent_projects.errors import (
    AgentProjectIdInvalid,
    AgentProjectNotFound,
    AgentProjectTaken,
    AgentTypeUnsupported,
    PublishingRefused,
    ToolPolicyInvalid,
    VisibilityInvalid,
    WorkflowDefinitionInvalid,
)
from muster.domains.work.agent_projects.models import AgentProject
from muster.domains.work.agent_projects.schemas import (
    AgentProjectChange,
    AgentProjectCreate,
    AgentProjectEnvelope,
    AgentProjectOut,
    AgentProjectPage,
    AgentProjectValidation,
    PublishedAgentProject,
    PublishResult,
    RuntimeRequirements,
    ValidatedAgentProject,
    agent_key,
)
from muster.domains.work.agent_projects.service import (
    AgentProjectService,
    definition_problems,
    permitted_tools,
    read_definition,
    tools_of,
)
from muster.domains.work.agent_projects.tool_policy import names_of_tools, texts_of
from muster.domains.work.workflows import References
from muster.kernel.http import Db, Reading, Router, Sealing, Writing, problems
from muster.kernel.paging import ListParams
from muster.platform.access import Caller, Scope, requires

router = Router("/agent-projects", tag="Agent projects")

CanRead = Annotated[Caller, requires(Scope.AGENT_PROJECTS_READ)]
CanWrite = Annotated[Caller, requires(Scope.AGENT_PROJECTS_WRITE)]
Key = Annotated[str, Path(description="The id that its owner gave it.")]


async def _reader(session: Reading, caller: CanRead) -> AgentProjectService:
    return AgentProjectService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> AgentProjectService:
    return AgentProjectService(session, caller)


async def _found(database: Db, caller: CanRead, agent_project_id: Key) -> AgentProject:
    """Return an agent project of which no session is held any more."""
    async with database.read() as session:
        return await AgentProjectService(session, caller).get(agent_project_id)


async def _tool_names(connection: HTTPConnection, project: AgentProject) -> Mapping[str, str]:
    called = tools_of(project.spec, read_definition(project.spec))
    references = [*called, *texts_of(project.spec["tool_policy"])]
    return await names_of_tools(connection.app.state.tools, project.project_id, references)


async def _names_to_publish(
    connection: HTTPConnection, database: Db, caller: CanWrite, agent_project_id: Key
) -> Mapping[str, str]:
    """Return the names of the tools that are called, before a session is held to publish."""
    return await _tool_names(connection, await _found(database, caller, agent_project_id))


async def _references(connection: HTTPConnection) -> References:
    state = connection.app.state
    return References(state.database, state.models, state.tools)


Reader = Annotated[AgentProjectService, Depends(_reader)]
Writer = Annotated[AgentProjectService, Depends(_writer)]
NamesToPublish = Annotated[Mapping[str, str], Depends(_names_to_publish)]
Found = Annotated[AgentProject, Depends(_found)]
Checks = Annotated[References, Depends(_references)]

_REFUSALS = (
    VisibilityInvalid,
    AgentTypeUnsupported,
    WorkflowDefinitionInvalid,
    ToolPolicyInvalid,
)


@router.get("")
async def list_agent_projects(
    projects: Reader, params: Annotated[ListParams, Query()]
) -> AgentProjectPage:
    """List your agent projects, newest first; nobody sees those of others."""
    rows = await projects.list(params)
    items = [AgentProjectOut.of(row) for row in rows.items]
    return AgentProjectPage(
        agent_projects=items,
        items=items,
        total=rows.total or 0,
        limit=rows.limit,
        offset=rows.offset,
        has_more=rows.has_more,
    )


@router.post(
    "", status_code=201, responses=problems(AgentProjectTaken, AgentProjectIdInvalid, *_REFUSALS)
)
async def create_agent_project(projects: Writer, body: AgentProjectCreate) -> AgentProjectEnvelope:
    """Begin an agent project; its fields can be given flat or under `spec`."""
    return AgentProjectEnvelope(agent_project=AgentProjectOut.of(await projects.create(body)))


@router.get("/{agent_project_id}", responses=problems(AgentProjectNotFound))
async def get_agent_project(project: Found) -> AgentProjectEnvelope:
    """Get one of your agent projects."""
    return AgentProjectEnvelope(agent_project=AgentProjectOut.of(project))


@router.put("/{agent_project_id}", responses=problems(AgentProjectNotFound, *_REFUSALS))
async def update_agent_project(
    projects: Writer, agent_project_id: Key, body: AgentProjectChange
) -> AgentProjectEnvelope:
    """Change the given fields of one of your agent projects; the others keep their values."""
    changed = await projects.change(agent_project_id, body.changes())
    return AgentProjectEnvelope(agent_project=AgentProjectOut.of(changed))


@router.post(
    "/{agent_project_id}/validate",
    responses=problems(AgentProjectNotFound, WorkflowDefinitionInvalid),
)
async def validate_agent_project(
    connection: HTTPConnection, project: Found, checks: Checks
) -> ValidatedAgentProject:
    """Say whether an agent project can be published, and whether its tools and model are there.

    `resolved_tools` are those that its tool policy lets it have.
    """
    read = read_definition(project.spec)
    found = definition_problems(read)
    if read.document["actions"]:
        found = await checks.check(project.project_id, read)
    named = await _tool_names(connection, project)
    tools, broken = permitted_tools(project.spec, read, named)
    state = connection.app.state
    missing = await missing_references(state.models, state.tools, project)
    told = {problem.path for problem in missing}
    found = [*(problem for problem in found if problem.path not in told), *missing, *broken]
    limits = project.spec["runtime_constraints"]
    servers = {tool.partition("__")[0] for tool in tools if "__" in tool}
    return ValidatedAgentProject(
        agent_project=AgentProjectOut.of(project),
        validation=AgentProjectValidation(
            valid=all(problem.severity != "error" for problem in found),
            errors=[asdict(problem) for problem in found if problem.severity == "error"],
            warnings=[asdict(problem) for problem in found if problem.severity == "warning"],
            resolved_tools=tools,
            resolved_mcp_servers=sorted(servers.union(project.spec["mcp_server_refs"])),
            derived_runtime_requirements=RuntimeRequirements(
                internet_required=limits.get("internet_required", bool(servers)),
                sandbox_required=limits.get("sandbox_required", False),
            ),
        ),
    )


@router.post(
    "/{agent_project_id}/publish",
    responses=problems(
        AgentProjectNotFound, WorkflowDefinitionInvalid, ToolPolicyInvalid, PublishingRefused
    ),
)
async def publish_agent_project(
    named: NamesToPublish, projects: Writer, key: Sealing, agent_project_id: Key
) -> PublishedAgentProject:
    """Make the agent `agent.project.<id>` of it, and a workflow of the same name with its actions.

    The agent has the tools that the tool policy lets it have; a policy that an action goes
    against, or that says something unknown, is refused. Published again, both get a new version.
    """
    project, agent = await projects.publish(agent_project_id, key, named)
    shown = AgentProjectOut.of(project)
    assert project.workflow_id is not None  # noqa: S101 - it was just published
    assert project.published_at is not None  # noqa: S101
    return PublishedAgentProject(
        agent_project=shown,
        publish_result=PublishResult(
            agent_id=agent_key(project.key),
            catalog_agent={"id": agent.id, "version": agent.version, **agent.spec},
            workflow_id=project.workflow_id,
            published_at=project.published_at,
        ),
    )
