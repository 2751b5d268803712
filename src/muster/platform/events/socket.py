"""One client of the live event stream over a WebSocket: who it is, and what it asks for."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol, cast

import msgspec
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from muster.kernel.errors import AppError, Unauthorized
from muster.platform.access import Caller
from muster.platform.events.patterns import MAX_PATTERNS, Patterns, is_pattern
from muster.platform.events.proof import Proof, lost_access
from muster.platform.events.schemas import MAX_SEQ
from muster.platform.events.tail import EventTail, Following

AUTHENTICATION_WAIT_S = 10.0
SEND_WAIT_S = 30.0
_POLICY_VIOLATION = 1008
_MAX_MESSAGE = 65_536
_MAX_REASON = 120
_HEADERS = ("authorization", "x-api-key")

_MAX_FOLLOWED = 16

Message = dict[str, Any]


class FollowRun(Protocol):
    """Opens the live stream of one execution: its steps, the words of its model, its end."""

    async def __call__(
        self, caller: Caller, execution_id: str, after: int
    ) -> AsyncGenerator[Message]:
        """Return the stream; raise `AppError` when the caller may not see the execution."""
        ...


class AuthenticationMissing(Unauthorized):
    code, title = "missing_auth", "The first message must hold a token"


class AuthenticationTimeout(Unauthorized):
    code, title = "authentication_timeout", "No token came in time"


class _Refused(Exception):
    """A message that cannot be followed; the connection stays."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class EventSocket:
    """Serves one WebSocket from the first message to the last."""

    def __init__(self, websocket: WebSocket, tail: EventTail, follow_run: FollowRun) -> None:
        self._websocket, self._tail, self._follow_run = websocket, tail, follow_run
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()
        self._patterns = Patterns()
        self._proof: Proof
        self._caller: Caller
        self._following: Following
        self._verbs: dict[str, Callable[[Message], Awaitable[None]]] = {
            "ping": self._ping,
            "auth": self._authenticate_again,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "follow": self._follow,
            "unfollow": self._unfollow,
        }

    async def serve(self) -> None:
        """Serve until the client leaves or loses its access."""
        await self._websocket.accept()
        with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
            try:
                first = await self._identify()
            except AppError as error:
                await self._close(error)
                return
            error = await self._exchange(first)
            if error is not None:
                await self._close(error)

    async def _identify(self) -> Message | None:
        """Find out the caller; return what else its first message says."""
        query = self._websocket.query_params
        token, project_id = query.get("token"), query.get("project_id")
        message: Message | None = None
        if not token and not any(name in self._websocket.headers for name in _HEADERS):
            try:
                async with asyncio.timeout(AUTHENTICATION_WAIT_S):
                    message = await self._receive()
            except TimeoutError as error:
                raise AuthenticationTimeout from error
            except _Refused as error:
                raise AuthenticationMissing from error
            token = _text(message, "token")
            if token is None:
                raise AuthenticationMissing
            project_id = _text(message, "project_id") or _text(message, "group_id") or project_id
        self._proof = Proof(self._connection, token or None, project_id or None)
        self._caller = await self._proof.check()
        return message if message and message.get("type", "auth") != "auth" else None

    @property
    def _connection(self) -> HTTPConnection:
        return self._websocket

    async def _exchange(self, first: Message | None) -> AppError | None:
        async with self._tail.follow(self._caller.project_id) as self._following:
            self._following.wants = self._wants
            access = asyncio.create_task(lost_access(self._tail, self._proof, self._caller))
            others = [
                asyncio.create_task(self._listen(first)),
                asyncio.create_task(self._send_events()),
            ]
            tasks: list[asyncio.Task[Any]] = [access, *others]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                tasks += self._followed.values()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in others:
                if task in done:
                    task.result()
            return access.result() if access in done else None

    def _wants(self, type: str) -> bool:
        return self._patterns.name_for(type) is not None

    async def _send_events(self) -> None:
        while True:
            for event in await self._following.next():
                name = self._patterns.name_for(event.type)
                if name is not None:
                    await self._send(event.message(name))

    async def _listen(self, first: Message | None) -> None:
        if first is not None:
            await self._answer(first)
        while True:
            try:
                message = await self._receive()
            except _Refused as error:
                await self._refuse(error)
            else:
                await self._answer(message)

    async def _receive(self) -> Message:
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        content: str | bytes = received.get("text") or received.get("bytes") or ""
        if len(content) > _MAX_MESSAGE:
            raise _Refused("message_too_large", f"Messages are at most {_MAX_MESSAGE} bytes.")
        try:
            message = msgspec.json.decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise _Refused("invalid_message", 'Send JSON objects such as {"type": "ping"}.')
        return cast("Message", message)

    async def _answer(self, message: Message) -> None:
        verb = message.get("type")
        handle = self._verbs.get(verb, self._unknown) if isinstance(verb, str) else self._unknown
        try:
            await handle(message)
        except _Refused as error:
            await self._refuse(error)

    async def _refuse(self, error: _Refused) -> None:
        await self._say(type="error", error=error.code, message=error.text)

    async def _unknown(self, _: Message) -> None:
        raise _Refused("unknown_message", f"Known types: {', '.join(self._verbs)}.")

    async def _ping(self, _: Message) -> None:
        await self._say(type="pong")

    async def _authenticate_again(self, message: Message) -> None:
        """Take a newer token of the same caller, before the first one ends."""
        token = _text(message, "token")
        if token is None:
            raise _Refused("invalid_message", 'Send {"type": "auth", "token": "..."}.')
        proof = Proof(self._connection, token, self._caller.project_id)
        try:
            caller = await proof.check()
        except AppError as error:
            raise _Refused(error.code, error.detail) from error
        if caller.id != self._caller.id:
            raise _Refused("other_caller", "Open another connection for another account.")
        self._proof.token = token

    async def _subscribe(self, message: Message) -> None:
        wanted = self._patterns.texts | _events(message)
        if len(wanted) > MAX_PATTERNS:
            raise _Refused("too_many_events", f"Subscribe to {MAX_PATTERNS} events at most.")
        after = message.get("after_seq")
        if after is not None and (type(after) is not int or not 0 <= after <= MAX_SEQ):
            raise _Refused("invalid_message", "after_seq is the number of an event, or absent.")
        async with self._sending:  # events of this subscription come after its answer
            if after is not None:
                self._following.move(after)
            elif not self._patterns.texts:
                await self._following.move_to_end()
            self._patterns = Patterns(wanted)
            await self._write(
                _json(type="subscribed", events=sorted(wanted), seq=self._following.position)
            )

    async def _unsubscribe(self, message: Message) -> None:
        self._patterns = Patterns(self._patterns.texts - _events(message))
        await self._say(type="unsubscribed", events=sorted(self._patterns.texts))

    async def _follow(self, message: Message) -> None:
        """Send what happens in one execution until it ends, the words of its model included."""
        execution_id, after = _execution(message), message.get("after", 0)
        if type(after) is not int or not 0 <= after <= MAX_SEQ:
            raise _Refused("invalid_message", "after is the number of a step, or absent.")
        if execution_id in self._followed:
            raise _Refused("followed_already", "This execution is being followed.")
        if len(self._followed) >= _MAX_FOLLOWED:
            raise _Refused("too_many_executions", f"Follow {_MAX_FOLLOWED} executions at most.")
        try:
            stream = await self._follow_run(self._caller, execution_id, after)
        except AppError as error:
            raise _Refused(error.code, error.detail) from error
        await self._say(type="following", execution_id=execution_id)
        task = asyncio.create_task(self._send_stream(execution_id, stream))
        self._followed[execution_id] = task
        task.add_done_callback(lambda _: self._followed.pop(execution_id, None))

    async def _unfollow(self, message: Message) -> None:
        execution_id = _execution(message)
        if (task := self._followed.get(execution_id)) is not None:
            task.cancel()
            await asyncio.wait({task})
        await self._say(type="unfollowed", execution_id=execution_id)

    async def _send_stream(self, execution_id: str, stream: AsyncGenerator[Message]) -> None:
        # Who has left, or does not read, is noticed by those who send the events.
        with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
            async with contextlib.aclosing(stream):
                async for item in stream:
                    await self._say(type="execution", execution_id=execution_id, **item)

    async def _say(self, **message: Any) -> None:
        await self._send(_json(**message))

    async def _send(self, text: str) -> None:
        async with self._sending:
            await self._write(text)

    async def _write(self, text: str) -> None:
        # A client that does not read holds up itself alone, and not for ever.
        async with asyncio.timeout(SEND_WAIT_S):
            await self._websocket.send_text(text)

    async def _close(self, error: AppError) -> None:
        await self._websocket.close(_POLICY_VIOLATION, error.code[:_MAX_REASON])


def _json(**message: Any) -> str:
    return msgspec.json.encode(message).decode()


def _text(message: Message, name: str) -> str | None:
    value = message.get(name)
    return value if isinstance(value, str) and value else None


def _execution(message: Message) -> str:
    execution_id = _text(message, "execution_id")
    if execution_id is None:
        raise _Refused("invalid_message", 'Send {"type": "follow", "execution_id": "..."}.')
    return execution_id


def _events(message: Message) -> frozenset[str]:
    found: list[Any] = []
    for name in ("event", "events"):
        value = message.get(name)
        found += cast("list[Any]", value) if isinstance(value, list) else [value] if value else []
    if not found or not all(isinstance(text, str) and is_pattern(text) for text in found):
        raise _Refused(
            "invalid_message",
            'Name events by "event" or "events": exact, such as task.completed, or with *.',
        )
    return frozenset(cast("list[str]", found))
