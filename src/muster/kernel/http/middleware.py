"""What happens to every request before a route sees it."""

import re
import time

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muster.kernel import metrics
from muster.kernel.http.headers import header
from muster.kernel.http.routing import BASE
from muster.kernel.ids import new_id
from muster.kernel.logging import get_logger

REQUEST_ID = "x-request-id"
_REQUEST_ID_NAME = REQUEST_ID.encode()
_SAFE = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LONGEST_LENGTH = 15  # digits
_QUIET = frozenset({"/health", "/metrics", BASE + "/health", BASE + "/metrics"})

logger = get_logger("muster.http")


class CanonicalPath:
    """Makes `/v1/...` the same as `/api/v1/...`, and a trailing slash the same as none.

    The path is rewritten, not redirected: a redirect would lose the body of a POST with many
    clients.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            path = canonical(scope["path"])
            if path != scope["path"]:
                # By itself: where a slash is part of a name, only here it differs from others.
                raw = canonical((scope.get("raw_path") or path.encode()).decode("latin-1"))
                scope = {**scope, "path": path, "raw_path": raw.encode("latin-1")}
        await self._app(scope, receive, send)


def canonical(path: str) -> str:
    """Return the one form of a path that the routes are written in."""
    if path == "/v1" or path.startswith("/v1/"):
        path = "/api" + path
    if len(path) > 1 and path.endswith("/"):
        path = path.rstrip("/") or "/"
    return path


class RequestContext:
    """Gives each request an id, a log line and its metrics, and each response safe headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, REQUEST_ID) or ""
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        started = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [one for one in message.get("headers", ()) if one[0] != _REQUEST_ID_NAME]
                headers.append((_REQUEST_ID_NAME, request_id.encode()))
                names = {name for name, _ in headers}
                headers += [one for one in _SAFE if one[0] not in names]
                message["headers"] = headers
            await send(message)

        metrics.HTTP_IN_FLIGHT.inc()
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            structlog.contextvars.reset_contextvars(**bound)
            elapsed = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            metrics.HTTP_IN_FLIGHT.dec()
            requests, duration = metrics.of_requests(scope["method"], route, status)
            requests.inc()
            duration.observe(elapsed)
            if scope["path"] not in _QUIET:
                logger.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    duration_ms=round(elapsed * 1000, 1),
                    request_id=request_id,
                )


class BodyLimit:
    """Refuses bodies above a size: at once by the length they state, else as they come.

    FastAPI's own limit answers in plain text, and in the place of whatever the route would say.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = header(scope, "content-length") or ""
        size = 0
        if stated.isdecimal():
            size = int(stated) if len(stated) <= _LONGEST_LENGTH else self._limit + 1
        received = 0

        async def receive_up_to_the_limit() -> Message:
            nonlocal received
            if size <= self._limit:
                message = await receive()
                received += len(message.get("body", b""))
                if received <= self._limit:
                    return message
            # Any other exception would become a 400 while FastAPI reads the body.
            raise HTTPException(413, f"The body is larger than {self._limit // 2**20} MB.")

        await self._app(scope, receive_up_to_the_limit, send)
