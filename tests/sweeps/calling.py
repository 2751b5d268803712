"""Calling the application from tests that are not async, stream answers included."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

from starlette.types import ASGIApp, Message

T = TypeVar("T")
_PATIENCE_S = 60


class Loop:
    """An event loop in a thread of its own, on which the application lives."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._live(),), name="sweeps", daemon=True
        )
        self._thread.start()
        self._ready.wait(_PATIENCE_S)

    async def _live(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._ended.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work on the loop and wait for what comes of it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_PATIENCE_S)


@dataclass(slots=True)
class Answer:
    """What the application answered. Of a stream, only that it began."""

    status: int = 0
    headers: dict[str, list[str]] = field(default_factory=dict)
    content: bytes = b""
    raised: BaseException | None = None
    streamed: bool = False

    def header(self, name: str) -> str:
        """Return the first value of a header, or nothing."""
        return self.headers.get(name.lower(), [""])[0]

    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        """The code of the problem."""
        return str(self.json()["error"])

    def __str__(self) -> str:
        cause = f" raised {self.raised!r}" if self.raised else ""
        return f"{self.status}{cause} {self.content[:600].decode(errors='replace')}"


async def ask(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str | bytes],
    content: bytes = b"",
) -> Answer:
    """Send one request. A stream of events is broken off as soon as it has begun."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1"), _bytes(value))
            for name, value in {"host": "muster.test", **headers}.items()
        ],
        "client": ("127.0.0.1", 40_000),
        "server": ("muster.test", 80),
        "state": {},
    }
    answer, gone, parts = Answer(), asyncio.Event(), [content]

    async def receive() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            for name, value in message["headers"]:
                answer.headers.setdefault(name.decode().lower(), []).append(value.decode("latin-1"))
            answer.streamed = answer.header("content-type").startswith("text/event-stream")
            if answer.streamed:
                gone.set()
        elif message["type"] == "http.response.body":
            answer.content += message.get("body", b"")

    try:
        await asyncio.wait_for(app(scope, receive, send), _PATIENCE_S / 2)
    except Exception as error:  # noqa: BLE001 - Starlette raises again what became a 500
        answer.raised = error
    return answer


def query_of(params: Mapping[str, str] | None) -> str:
    return "?" + urlencode(params) if params else ""


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")
