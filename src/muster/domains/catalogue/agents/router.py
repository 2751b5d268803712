"""HTTP surface of agents."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from fastapi import Depends, Path, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response

from muster.domains.catalogue.agents.errors import (
    AgentInactive,
    AgentKeyTaken,
    AgentNotFound,
    AgentVersionNotFound,
    AgentYamlInvalid,
)
from muster.domains.catalogue.agents.models import Agent, AgentVersion
from muster.domains.catalogue.agents.notations import read_yaml, write_yaml
from muster.domains.catalogue.agents.presenting import present, present_registered
from muster.domains.catalogue.agents.readiness import (
    ConfigurationStatus,
    ModelChecks,
    ToolChecks,
    configuration_status,
)
from muster.domains.catalogue.agents.registration import registration
from muster.domains.catalogue.agents.schemas import (
    AgentCreate,
    AgentDiff,
    AgentImport,
    AgentList,
    AgentOut,
    AgentPatch,
    AgentReplace,
    AgentVersionOut,
    DiffParams,
    RegisteredAgent,
)
from muster.domains.catalogue.agents.service import AgentService, changed_spec
from muster.domains.catalogue.agents.spec import AgentSpec
from muster.kernel.http import Db, Reading, Router, Sealing, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/agents", tag="Agents")

CanRead = Annotated[Caller, requires(Scope.AGENTS_READ)]
CanWrite = Annotated[Caller, requires(Scope.AGENTS_WRITE)]
CanRegister = Annotated[Caller, requires(Scope.AGENTS_WRITE, Scope.AGENTS_REGISTER)]


class Readiness:
    """Says of an agent whether it can be used, with the models and tools of this process."""

    def __init__(self, models: ModelChecks, tools: ToolChecks) -> None:
        self._models, self._tools = models, tools

    async def of(self, project_id: str, spec: AgentSpec) -> ConfigurationStatus:
        """Return what an agent lacks. Asks model servers: nothing is to be held meanwhile."""
        return await configuration_status(project_id, spec, self._models, self._tools)

    async def shown(self, agent: Agent) -> AgentOut:
        """Return the agent with its status of configuration."""
        spec = AgentSpec.model_validate(agent.spec)
        return present(agent, await self.of(agent.project_id, spec))


class JudgeRegistration(Protocol):
    """Says what an agent that registers violates, in the unit of work of its registration."""

    async def __call__(self, session: AsyncSession, agent: Agent) -> list[dict[str, Any]]: ...


async def _judge(request: Request) -> JudgeRegistration:
    judge: JudgeRegistration = request.app.state.registration_judge
    return judge


Judge = Annotated[JudgeRegistration, Depends(_judge)]


async def _reader(session: Reading, caller: CanRead, key: Sealing) -> AgentService:
    return AgentService(session, caller, key)


async def _writer(caller: CanWrite, session: Writing, key: Sealing) -> AgentService:
    return AgentService(session, caller, key)


async def _readiness(connection: HTTPConnection) -> Readiness:
    state = connection.app.state
    return Readiness(state.models, state.tools)


Reader = Annotated[AgentService, Depends(_reader)]
Writer = Annotated[AgentService, Depends(_writer)]
Checks = Annotated[Readiness, Depends(_readiness)]


async def _change(
    caller: CanWrite, database: Db, agents: Writer, checks: Checks, key: Sealing
) -> Callable[[str, AgentPatch], Awaitable[AgentOut]]:
    async def change(agent_id: str, body: AgentPatch) -> AgentOut:
        async with database.read() as session:
            before = await AgentService(session, caller, key).get(agent_id)
        status = await checks.of(caller.project_id, changed_spec(before, body.changes()))
        return present(await agents.change(agent_id, body.changes()), status)

    return change


Change = Annotated[Callable[[str, AgentPatch], Awaitable[AgentOut]], Depends(_change)]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the version.")]


@router.get("", response_model=Page[AgentOut])
async def list_agents(agents: Reader, params: Annotated[AgentList, Query()]) -> Rows[AgentOut]:
    """List the agents of the project, newest first. `configuration_status` is left to `get`."""
    rows = await agents.list(params)
    shown = [present(agent) for agent in rows.items]
    return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)


@router.post("", status_code=201, responses=problems(AgentKeyTaken, AgentInactive))
async def create_agent(
    caller: CanRegister,
    session: Writing,
    checks: Checks,
    key: Sealing,
    judge: Judge,
    response: Response,
    body: AgentCreate,
) -> RegisteredAgent:
    """Create an agent, or register the agent that calls.

    An agent that names an unknown model or tool is saved all the same; `configuration_status` says
    what it lacks, and running it is refused until that is there.

    With an API key of kind `agent` this registers an agent that runs elsewhere, by its `agent_key`.
    Registering the same key again, with any key of the same account, changes what is told and
    answers 200 with `registration_status` "updated". Policies of scope `agent_registration` judge
    the profile; what it violates is in `incidents` and keeps it from nothing.
    """
    agents = AgentService(session, caller, key)
    # Before the first statement: models are looked for while no connection is taken.
    if caller.may(Scope.AGENTS_WRITE):
        status = await checks.of(caller.project_id, body)
        return present_registered(await agents.create(body), status, created=True)
    agent, created = await agents.register(*registration(body))
    if not created:
        response.status_code = 200
    violated = await judge(session, agent)
    status = await checks.of(caller.project_id, AgentSpec.model_validate(agent.spec))
    return present_registered(agent, status, created=created, incidents=violated)


@router.post("/import", status_code=201, responses=problems(AgentYamlInvalid, AgentKeyTaken))
async def import_agent(
    caller: CanWrite, agents: Writer, checks: Checks, body: AgentImport
) -> AgentOut:
    """Create an agent from a YAML file, or change the one with its key when told to."""
    spec = read_yaml(body.yaml)
    status = await checks.of(caller.project_id, spec)
    known = await agents.find_key(spec.key) if body.overwrite and spec.key else None
    agent = await (agents.replace(known.id, spec) if known else agents.create(spec))
    return present(agent, status)


@router.get("/{agent_id}", responses=problems(AgentNotFound))
async def get_agent(agents: Reader, checks: Checks, agent_id: str) -> AgentOut:
    """Get an agent and whether it can be used."""
    return await checks.shown(await agents.get(agent_id))


@router.put("/{agent_id}", responses=problems(AgentNotFound, AgentKeyTaken))
async def update_agent(change: Change, agent_id: str, body: AgentPatch) -> AgentOut:
    """Change the given fields of an agent; the others keep their values."""
    return await change(agent_id, body)


@router.patch("/{agent_id}", responses=problems(AgentNotFound, AgentKeyTaken))
async def patch_agent(change: Change, agent_id: str, body: AgentPatch) -> AgentOut:
    """Change the given fields of an agent; the others keep their values."""
    return await change(agent_id, body)


@router.put("/{agent_id}/full", responses=problems(AgentNotFound, AgentKeyTaken))
async def replace_agent(
    caller: CanWrite, agents: Writer, checks: Checks, agent_id: str, body: AgentReplace
) -> AgentOut:
    """Replace the whole definition of an agent; what is left out gets its default."""
    status = await checks.of(caller.project_id, body)
    return present(await agents.replace(agent_id, body), status)


@router.delete("/{agent_id}", status_code=204, responses=problems(AgentNotFound))
async def delete_agent(agents: Writer, agent_id: str) -> None:
    """Deactivate an agent. Its runs keep their snapshot; `include_inactive` still lists it."""
    await agents.delete(agent_id)


@router.post("/{agent_id}/activate", responses=problems(AgentNotFound, AgentKeyTaken))
async def activate_agent(agents: Writer, agent_id: str) -> AgentOut:
    """Bring a deactivated agent back. One that is active stays as it is."""
    return present(await agents.activate(agent_id))


@router.post("/{agent_id}/start", responses=problems(AgentNotFound))
async def start_agent(agents: Writer, agent_id: str) -> AgentOut:
    """Let an agent take tasks from its queue. It can be run directly without."""
    return present(await agents.start(agent_id))


@router.post("/{agent_id}/stop", responses=problems(AgentNotFound))
async def stop_agent(agents: Writer, agent_id: str) -> AgentOut:
    """Let an agent take no more tasks from its queue; what it is doing goes on."""
    return present(await agents.stop(agent_id))


@router.get(
    "/{agent_id}/export",
    response_class=PlainTextResponse,
    responses={200: {"content": {"application/yaml": {}}}, **problems(AgentNotFound)},
)
async def export_agent(agents: Reader, agent_id: str) -> PlainTextResponse:
    """Get an agent as a YAML file that `import` and `muster run` read."""
    agent = await agents.get(agent_id)
    text = write_yaml(AgentSpec.model_validate(agent.spec))
    return PlainTextResponse(text, media_type="application/yaml")


@router.get(
    "/{agent_id}/versions",
    response_model=Page[AgentVersionOut],
    responses=problems(AgentNotFound),
)
async def list_agent_versions(
    agents: Reader, agent_id: str, params: Annotated[ListParams, Query()]
) -> Rows[AgentVersion]:
    """List the versions of an agent's definition, newest first."""
    return await agents.versions(agent_id, params)


@router.get("/{agent_id}/versions/diff", responses=problems(AgentNotFound, AgentVersionNotFound))
async def diff_agent_versions(
    agents: Reader, agent_id: str, params: Annotated[DiffParams, Query()]
) -> AgentDiff:
    """Compare two versions of an agent field by field."""
    return await agents.diff(agent_id, params.from_version, params.to_version)


@router.get(
    "/{agent_id}/versions/{version}",
    response_model=AgentVersionOut,
    responses=problems(AgentNotFound, AgentVersionNotFound),
)
async def get_agent_version(agents: Reader, agent_id: str, version: Version) -> AgentVersion:
    """Get one version of an agent's definition."""
    return await agents.version(agent_id, version)


@router.post(
    "/{agent_id}/versions/{version}/restore",
    responses=problems(AgentNotFound, AgentVersionNotFound, AgentKeyTaken),
)
async def restore_agent_version(agents: Writer, agent_id: str, version: Version) -> AgentOut:
    """Make an earlier version the present one; it becomes a new version."""
    return present(await agents.restore(agent_id, version))
