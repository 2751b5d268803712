"""Live events: a WebSocket, and server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Header, Query, WebSocket
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import HTTPConnection

from muster.kernel.errors import AppError
from muster.kernel.http import Db, Router
from muster.platform.access import Caller, Scope, requires
from muster.platform.events.patterns import Patterns
from muster.platform.events.proof import Proof, lost_access
from muster.platform.events.repository import EventRepository
from muster.platform.events.schemas import MAX_SEQ, TypeFilter
from muster.platform.events.socket import SEND_WAIT_S, EventSocket, FollowRun
from muster.platform.events.tail import EventTail, Following, LiveEvent

router = Router(tag="Events")
root_router = Router(tag="Events", base="")

_PING_S = 15
_MAX_TOKEN = 4096


def tail_of(connection: HTTPConnection) -> EventTail:
    """Return the tail of the event log of this process."""
    tail: EventTail = connection.app.state.event_tail
    return tail


async def _tail(connection: HTTPConnection) -> EventTail:
    return tail_of(connection)


async def _prove(
    connection: HTTPConnection,
    token: Annotated[
        str | None,
        Query(
            max_length=_MAX_TOKEN,
            description="Instead of the header, for clients that cannot set headers.",
        ),
    ] = None,
    project_id: Annotated[
        str | None, Query(max_length=36, description="Instead of the header.")
    ] = None,
) -> Proof:
    proof = Proof(connection, token, project_id)
    connection.state.caller = await proof.check()
    return proof


Tail = Annotated[EventTail, Depends(_tail)]
Proven = Annotated[Proof, Depends(_prove)]
# Read after `Proven`, which finds out the caller.
CanRead = Annotated[Caller, requires(Scope.EVENTS_READ)]


@router.websocket("/ws")
@root_router.websocket("/ws")
async def live_events(websocket: WebSocket) -> None:
    """Follow the events of a project, and single executions, over a WebSocket."""
    follow_run: FollowRun = websocket.app.state.follow_run
    await EventSocket(websocket, tail_of(websocket), follow_run).serve()


@router.get(
    "/events/stream",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_events(
    proof: Proven,
    caller: CanRead,
    tail: Tail,
    database: Db,
    types: Annotated[
        TypeFilter | None,
        Query(description="Types, separated by commas, exact or with `*`; absent: all."),
    ] = None,
    after_seq: Annotated[
        int | None,
        Query(ge=0, le=MAX_SEQ, description="Begin after this event; absent: with the next one."),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="Resume after this event; goes before `after_seq`.")
    ] = None,
) -> EventSourceResponse:
    """Follow the events of the project live, as server-sent events.

    The id of each is its number in the chain, by which the stream is resumed. The stream ends when
    the access of the caller does.
    """
    patterns = Patterns((types or "*").split(","))
    after = after_seq
    if last_event_id and last_event_id.isdecimal():
        after = min(int(last_event_id[:20]), MAX_SEQ)
    if after is None:
        # Before the answer begins: what the client causes when it has seen it is not missed.
        async with database.read() as session:
            after = await EventRepository(session).newest(caller.project_id)
    return EventSourceResponse(
        _events(tail, proof, caller, patterns, after), ping=_PING_S, send_timeout=SEND_WAIT_S
    )


async def _events(
    tail: EventTail, proof: Proof, caller: Caller, patterns: Patterns, after: int
) -> AsyncGenerator[ServerSentEvent]:
    async with tail.follow(caller.project_id, after=after) as following:
        following.wants = lambda wanted: patterns.name_for(wanted) is not None
        access = asyncio.create_task(lost_access(tail, proof, caller))
        try:
            while (events := await _next(following, access)) is not None:
                for event in events:
                    name = patterns.name_for(event.type) or event.type
                    yield ServerSentEvent(event.message(name), event=name, id=str(event.seq))
        finally:
            access.cancel()
            await asyncio.gather(access, return_exceptions=True)


async def _next(following: Following, access: asyncio.Task[AppError]) -> list[LiveEvent] | None:
    """Return the next events, or None when the access has ended."""
    reading = asyncio.create_task(following.next())
    try:
        await asyncio.wait((reading, access), return_when=asyncio.FIRST_COMPLETED)
        return None if access.done() else reading.result()
    finally:
        reading.cancel()
