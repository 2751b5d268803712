"""Proof of who is at the other end of a long connection, checked again while it lasts.

The token may come in a header, in the query (a browser's `EventSource` and `WebSocket` cannot set
headers) or in a message. Wherever it came from, it is put where every other request has it, so
that there is one way to find out a caller.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection
from starlette.types import Scope as AsgiScope

from muster.kernel.errors import AppError
from muster.platform.access import Caller, Scope, requires
from muster.platform.events.recording import PLATFORM_CHAIN
from muster.platform.events.tail import EventTail, LiveEvent

CHECK_EVERY_S = 30.0
_OF_THE_TOKEN = {b"authorization", b"x-api-key"}
_OF_THE_PROJECT = {b"x-project-id", b"group_id"}
_must_read: Callable[[Caller], Awaitable[Caller]] = requires(Scope.EVENTS_READ).dependency
_ABOUT_ACCESS = ("user.", "session.", "api_key.", "project.")


class Proof:
    """A connection with the token that it proves itself by.

    Args:
        connection: The connection.
        token: Instead of the token in its headers.
        project_id: Instead of the project that it names.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        token: str | None = None,
        project_id: str | None = None,
    ) -> None:
        self._connection = connection
        self.token, self.project_id = token, project_id

    async def check(self, project_id: str | None = None) -> Caller:
        """Return the caller, or raise why there is none any more or it may not read events."""
        authenticate: Callable[[HTTPConnection], Awaitable[Caller]]
        authenticate = self._connection.app.state.authenticate
        caller = await authenticate(HTTPConnection(self._scope(project_id or self.project_id)))
        await _must_read(caller)
        return caller

    def _scope(self, project_id: str | None) -> AsgiScope:
        headers: list[tuple[bytes, bytes]] = list(self._connection.scope["headers"])
        if self.token is not None:
            headers = [h for h in headers if h[0] not in _OF_THE_TOKEN]
            headers.append((b"authorization", f"Bearer {self.token}".encode("latin-1", "replace")))
        if project_id is not None:
            headers = [h for h in headers if h[0] not in _OF_THE_PROJECT]
            headers.append((b"x-project-id", project_id.encode("latin-1", "replace")))
        return {**self._connection.scope, "headers": headers}


async def lost_access(tail: EventTail, proof: Proof, caller: Caller) -> AppError:
    """Wait until the caller may not read the events of the project any more; return why.

    Looks when an event tells of the account, its sessions and keys or its membership, and now and
    then all the same: a token also ends by its time.
    """
    look = asyncio.Event()

    def listener(event: LiveEvent) -> None:
        if event.type.startswith(_ABOUT_ACCESS) and _concerns(event, caller):
            look.set()

    async with AsyncExitStack() as stack:
        for chain in (PLATFORM_CHAIN, caller.project_id):
            await stack.enter_async_context(tail.listen(chain, listener))
        while True:
            try:
                await proof.check(caller.project_id)
            except AppError as error:
                return error
            except (SQLAlchemyError, OSError):
                # Nobody can tell now; while the database is away no event goes out either.
                pass
            try:
                # Spread out, so that connections made together do not all ask at once.
                wait_s = CHECK_EVERY_S * random.uniform(0.8, 1.2)  # noqa: S311
                async with asyncio.timeout(wait_s):
                    await look.wait()
            except TimeoutError:
                pass
            look.clear()


def _concerns(event: LiveEvent, caller: Caller) -> bool:
    if event.type == "project.deleted":
        return True
    return caller.id in {event.content["data"].get("user_id"), event.content["subject"]["id"]}
