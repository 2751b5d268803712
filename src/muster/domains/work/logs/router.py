"""HTTP surface of logs."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import quote, unquote_to_bytes

import msgspec
from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from muster.adapters.blobs import LocalBlobStore
from muster.domains.catalogue.agents import AgentInactive, AgentNotFound, AgentService
from muster.domains.work.journal import verify_run
from muster.domains.work.logs.bodies import (
    WIRE_VERSION,
    check_wire_version,
    many_steps,
    one_node,
    one_step,
)
from muster.domains.work.logs.described import MANY_STEPS, ONE_NODE, ONE_STEP
from muster.domains.work.logs.errors import (
    TaskAmbiguous,
    TaskEnded,
    TaskNotFound,
    UnsupportedWireVersion,
)
from muster.domains.work.logs.intake import Intake, Receipt
from muster.domains.work.logs.repository import LogRepository
from muster.domains.work.logs.schemas import (
    LogList,
    LogOut,
    LogReceipt,
    TaskQuery,
    TaskStepList,
    TaskVerification,
)
from muster.domains.work.logs.tasks import LogAgent
from muster.domains.work.logs.views import answer
from muster.kernel.http import Reading, Router, database_of, header, problems
from muster.kernel.http.idempotency import HEADER as IDEMPOTENCY_KEY
from muster.kernel.http.routing import Route, StrictRequest
from muster.kernel.paging import CursorPage
from muster.platform.access import Caller, Scope, current_caller, requires

router = Router("/logs", tag="Logs")
copilot_router = Router("/copilot", tag="Logs")

CanLog = Annotated[Caller, requires(Scope.LOGS_WRITE)]
CanRead = Annotated[Caller, requires(Scope.RUNS_READ)]

_ENCODER = msgspec.json.Encoder()
_JSON = "application/json"


async def _unit_of_work(request: Request) -> AsyncIterator[AsyncSession | None]:
    """Yield a session only where the answer must be stored with the change.

    All other steps go the short way: into one commit with those of other requests.
    """
    if IDEMPOTENCY_KEY not in request.headers:
        yield None
        return
    async with database_of(request).write() as session:
        request.state.write_session = session
        yield session


def _intake(connection: HTTPConnection) -> Intake:
    intake: Intake = connection.app.state.intake
    return intake


async def _blobs(connection: HTTPConnection) -> LocalBlobStore:
    blobs: LocalBlobStore = connection.app.state.run_parts.blobs
    return blobs


Unit = Annotated[AsyncSession | None, Depends(_unit_of_work, scope="function")]
Blobs = Annotated[LocalBlobStore, Depends(_blobs)]


async def _body(request: Request) -> Any:
    kind = (header(request.scope, "content-type") or "").partition(";")[0].strip().casefold()
    if kind != _JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise _unreadable("Send JSON with the header Content-Type: application/json")
    try:
        return await request.json()
    except json.JSONDecodeError as error:
        raise _unreadable(error.msg) from error


def _unreadable(message: str) -> RequestValidationError:
    item: dict[str, Any] = {"type": "json_invalid", "loc": ("body", 0), "msg": message}
    return RequestValidationError([{**item, "input": {}, "ctx": {"error": message}}])


def _answer(receipt: Receipt) -> Response:
    body = {
        "steps_logged": len(receipt.seqs),
        "hash_tail": receipt.hash_tail,
        "agent_id": receipt.agent_id,
        "task_id": receipt.task_id,
        "execution_id": receipt.run_id,
        "first_seq": receipt.seqs[0],
        "last_seq": receipt.seqs[-1],
        "incidents": receipt.incidents,
    }
    return Response(_ENCODER.encode(body), status_code=201, media_type=_JSON)


class HotRoute(Route):
    """A route that calls its operation straight away where nothing has to be resolved for it.

    To resolve what an operation depends on costs about as much as to log a step. A request with an
    `Idempotency-Key`, with query parameters, or of somebody who may not log goes the usual way, and
    is answered or refused there as everywhere.
    """

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer a request that this route takes."""
        request = StrictRequest(scope, receive)
        if header(scope, IDEMPOTENCY_KEY) is not None or scope["query_string"]:
            return await super().handle(scope, receive, send)
        caller = await current_caller(request)
        if not caller.may(Scope.LOGS_WRITE):
            return await super().handle(scope, receive, send)
        operation: Callable[..., Awaitable[Response]] = self.endpoint
        response = await operation(request, caller, None)
        await response(scope, receive, send)
        return None


hot_router = Router("/logs", tag="Logs")
hot_router.route_class = HotRoute

_LOGGING = problems(AgentNotFound, AgentInactive, TaskEnded, UnsupportedWireVersion)


@hot_router.post(
    "",
    status_code=201,
    response_model=LogReceipt,
    responses=_LOGGING,
    openapi_extra=ONE_STEP,
)
async def log_step(request: Request, caller: CanLog, session: Unit) -> Response:
    """Log one step of a task of an agent that runs elsewhere.

    The first step begins the task, `task.end` ends it. When the answer comes, the step is in the
    database and in the chain of hashes of its task. A key logs for the agents of its own account.
    """
    check_wire_version(header(request.scope, WIRE_VERSION))
    agent_id, batch = one_step(await _body(request))
    return _answer(await _intake(request).log(caller, agent_id, batch, session))


@hot_router.post(
    "/batch",
    status_code=201,
    response_model=LogReceipt,
    responses=_LOGGING,
    openapi_extra=MANY_STEPS,
)
async def log_steps(request: Request, caller: CanLog, session: Unit) -> Response:
    """Log up to 1,000 steps of one task, in order: all of them, or none where one is refused."""
    check_wire_version(header(request.scope, WIRE_VERSION))
    agent_id, batch = many_steps(await _body(request))
    return _answer(await _intake(request).log(caller, agent_id, batch, session))


@copilot_router.post(
    "/log",
    status_code=201,
    response_model=LogReceipt,
    responses=_LOGGING,
    openapi_extra=ONE_NODE,
)
async def log_conversation_node(request: Request, caller: CanLog, session: Unit) -> Response:
    """Log one node of a conversation of a Copilot Studio agent.

    The first node registers the agent by its name. END_NODE ends the conversation; one in which
    nothing is logged for five minutes is ended as unfinished, and goes on with its next node.
    """
    check_wire_version(header(request.scope, WIRE_VERSION))
    turn = one_node(await _body(request), request.headers)

    async def register(unit: AsyncSession) -> LogAgent:
        if not caller.may(Scope.AGENTS_REGISTER):
            raise AgentNotFound(
                "No agent of this name is registered, and your key may not register one."
            )
        agents = AgentService(unit, caller, request.app.state.master_key)
        given: dict[str, Any] = {"name": turn.agent_name}
        if turn.agent_metadata:
            given["metadata"] = turn.agent_metadata
        agent, _ = await agents.register(turn.agent_key, given)
        await request.app.state.registration_judge(unit, agent)
        return LogAgent.of(agent)

    receipt = await _intake(request).converse(caller, turn.agent_key, turn.batch, register, session)
    return _answer(receipt)


@router.get("", response_model=CursorPage[LogOut])
async def list_logs(
    session: Reading, caller: CanRead, blobs: Blobs, params: Annotated[LogList, Query()]
) -> Response:
    """List the steps of all tasks of the project, newest first.

    These are the steps of runs here and of agents that run elsewhere; `external` chooses.
    """
    return await answer(await LogRepository(session, caller.project_id).search(params), blobs)


class TaskRoute(Route):
    """A route whose task is named in the path as it was sent, so that its id may be any text.

    In the path as it is read elsewhere `%2F` is a slash already, and nobody could tell the task
    `a/verify` from what verifies the task `a`. Slashes that were sent as such belong to the id too,
    up to the last segment, if that is the name of an operation.
    """

    def matches(self, scope: AsgiScope) -> tuple[Match, AsgiScope]:
        """Tell whether the route takes a request, and with which task."""
        sent: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        match, found = super().matches({**scope, "path": sent.decode("latin-1")})
        if match is not Match.NONE:
            named = found["path_params"]["task_id"].encode("latin-1")
            found["path_params"]["task_id"] = unquote_to_bytes(named).decode(errors="replace")
        return match, found


tasks_router = Router("/logs/tasks", tag="Logs")
tasks_router.route_class = TaskRoute


async def _verified(
    session: Reading,
    caller: CanRead,
    blobs: Blobs,
    task_id: str,
    params: Annotated[TaskQuery, Query()],
) -> TaskVerification:
    run, named = await LogRepository(session, caller.project_id).task(task_id, params.agent_id)
    found = await verify_run(session, run, blobs)
    return TaskVerification(
        task_id=named,
        execution_id=run.id,
        agent_id=run.agent_id,
        valid=found.valid,
        steps=found.steps,
        head_hash=found.head_hash,
        first_bad_seq=found.first_bad_seq,
        reason=found.reason,
    )


Verified = Annotated[TaskVerification, Depends(_verified)]


@tasks_router.get("/{task_id:path}/verify", responses=problems(TaskNotFound, TaskAmbiguous))
async def verify_task(verification: Verified) -> TaskVerification:
    """Recompute the hash chain of a task: valid, or the first bad step and what is wrong."""
    return verification


@tasks_router.get("/{task_id:path}/validate", responses=problems(TaskNotFound, TaskAmbiguous))
async def validate_task(verification: Verified) -> TaskVerification:
    """Recompute the hash chain of a task; the same as `verify`, under another name."""
    return verification


@tasks_router.get(
    "/{task_id:path}",
    response_model=CursorPage[LogOut],
    responses=problems(TaskNotFound, TaskAmbiguous),
)
async def list_task_logs(
    session: Reading,
    caller: CanRead,
    blobs: Blobs,
    task_id: str,
    params: Annotated[TaskStepList, Query()],
) -> Response:
    """List the steps of a task in order. A task is named by its own id or by that of its run."""
    logs = LogRepository(session, caller.project_id)
    run, _ = await logs.task(task_id, params.agent_id)
    return await answer(await logs.of_task(run, params), blobs)
