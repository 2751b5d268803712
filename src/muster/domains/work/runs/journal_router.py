"""HTTP surface of what a run did: logs, trace, live stream, verification."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

import msgspec
from fastapi import Header, Query, WebSocket
from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.websockets import WebSocketDisconnect

from muster.domains.work.journal import JournalReader, verify_run
from muster.domains.work.runs.errors import RunNotFound
from muster.domains.work.runs.following import LiveItem, follow
from muster.domains.work.runs.repository import RunRepository, steps_below
from muster.domains.work.runs.router import CanRead, Parts, parts_of
from muster.domains.work.runs.views import LogLine, LogParams, Trace, build_trace, log_line
from muster.kernel.errors import AppError
from muster.kernel.http import Db, Reading, Router, problems
from muster.kernel.paging import BadCursor, CursorPage, Rows
from muster.platform.access import Scope, current_caller

logs_router = Router("/execution-logs", tag="Execution logs")
trace_router = Router("/execution-trace", tag="Execution trace")

_POLICY_VIOLATION = 1008
_PING_S = 15
_STEP_NUMBER = re.compile(r"[0-9]{1,9}")


class VerificationOut(BaseModel):
    """Whether the journal of a run is as it was written."""

    execution_id: str
    valid: bool
    steps: int
    head_hash: str
    first_bad_seq: int | None
    reason: str | None


class TraceParams(BaseModel):
    """Which part of a trace."""

    after: Annotated[int, Field(ge=0, le=2**31 - 1, description="Steps above this number.")] = 0
    limit: Annotated[int, Field(ge=1, le=5000, description="Steps at most.")] = 1000
    children: Annotated[
        bool,
        Field(description="With the steps of the runs that it started, below the step of each."),
    ] = False


@logs_router.get(
    "/{execution_id}", response_model=CursorPage[LogLine], responses=problems(RunNotFound)
)
async def list_execution_logs(
    session: Reading,
    caller: CanRead,
    parts: Parts,
    execution_id: str,
    params: Annotated[LogParams, Query()],
) -> Rows[LogLine]:
    """List the steps of a run in words, in order."""
    run = await RunRepository(session, caller.project_id).get(execution_id)
    after = _position(params)
    journal = JournalReader(session)
    offset = 0 if params.cursor else params.offset
    rows = await journal.steps(
        run.id, after=after, limit=params.limit + 1, offset=offset, kind=params.kind
    )
    page = rows[: params.limit]
    more = len(rows) > params.limit
    return Rows(
        [await log_line(row, parts.blobs) for row in page],
        None if params.cursor else await journal.count(run.id, after=after, kind=params.kind),
        params.limit,
        offset,
        more,
        str(page[-1].seq) if more else None,
    )


def _position(params: LogParams) -> int:
    if params.cursor is None:
        return params.after
    if not _STEP_NUMBER.fullmatch(params.cursor):
        raise BadCursor
    return int(params.cursor)


@logs_router.get(
    "/{execution_id}/stream",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(RunNotFound)},
)
async def stream_execution_logs(
    caller: CanRead,
    database: Db,
    parts: Parts,
    execution_id: str,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Begin after this step.")] = 0,
    last_event_id: Annotated[str | None, Header(description="Resume after this step.")] = None,
) -> EventSourceResponse:
    """Follow a run live, as server-sent events.

    `log` is a finished step and carries its number as id, by which the stream is resumed;
    `step_started`, `token` (words of the model as they come), `status`, and `end`, after which the
    stream closes. The same path takes a WebSocket, which gets the same as JSON messages.
    """
    async with database.read() as session:
        await RunRepository(session, caller.project_id).get(execution_id)
    resumed = last_event_id is not None and _STEP_NUMBER.fullmatch(last_event_id)
    begin = int(last_event_id) if resumed and last_event_id else after

    async def events() -> AsyncIterator[ServerSentEvent]:
        items = follow(database, parts.live, parts.blobs, execution_id, after=begin)
        async with contextlib.aclosing(items):
            async for item in items:
                yield ServerSentEvent(
                    msgspec.json.encode(item.data).decode(),
                    event=item.event,
                    id=str(item.id) if item.id is not None else None,
                )

    return EventSourceResponse(events(), ping=_PING_S)


@logs_router.websocket("/{execution_id}/stream")
async def watch_execution(websocket: WebSocket, execution_id: str, after: int = 0) -> None:
    """Follow a run live over a WebSocket; the token is in the header or in the query."""
    parts = parts_of(websocket)
    try:
        caller = await current_caller(websocket)
        if not caller.may(Scope.RUNS_READ):
            raise RunNotFound
        async with parts.database.read() as session:
            await RunRepository(session, caller.project_id).get(execution_id)
    except AppError as error:
        await websocket.close(_POLICY_VIOLATION, error.code)
        return
    await websocket.accept()
    begin = min(max(0, after), 2**31 - 1)
    items = follow(parts.database, parts.live, parts.blobs, execution_id, after=begin)
    sending = asyncio.create_task(_send_all(websocket, items))
    leaving = asyncio.create_task(_until_left(websocket))
    try:
        # Who only listens is seen to leave by listening: in a quiet run nothing is sent.
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send_all(websocket: WebSocket, items: AsyncGenerator[LiveItem]) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        async with contextlib.aclosing(items):
            async for item in items:
                message = {"event": item.event, "id": item.id, "data": item.data}
                await websocket.send_text(msgspec.json.encode(message).decode())
        await websocket.close()


async def _until_left(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        continue


@trace_router.get("/{execution_id}", responses=problems(RunNotFound))
async def get_execution_trace(
    session: Reading,
    caller: CanRead,
    parts: Parts,
    execution_id: str,
    params: Annotated[TraceParams, Query()],
) -> Trace:
    """Get the span tree of a run: parents, durations, tokens, cost, decisions of the gate."""
    run = await RunRepository(session, caller.project_id).get(execution_id)
    rows = list(
        await JournalReader(session).steps(run.id, after=params.after, limit=params.limit + 1)
    )
    more = len(rows) > params.limit
    below = await steps_below(session, run, params.limit) if params.children else []
    return await build_trace(run, rows[: params.limit], parts.blobs, more=more, below=below)


@trace_router.get("/{execution_id}/verify", responses=problems(RunNotFound))
async def verify_execution(
    session: Reading, caller: CanRead, parts: Parts, execution_id: str
) -> VerificationOut:
    """Recompute the hash chain of a run and tell whether its journal is as it was written."""
    run = await RunRepository(session, caller.project_id).get(execution_id)
    found = await verify_run(session, run, parts.blobs)
    return VerificationOut(
        execution_id=run.id,
        valid=found.valid,
        steps=found.steps,
        head_hash=found.head_hash,
        first_bad_seq=found.first_bad_seq,
        reason=found.reason,
    )
