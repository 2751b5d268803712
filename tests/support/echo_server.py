"""A real HTTP server for tests: any Starlette application on a free port of 127.0.0.1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.support.serving import serving

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """Yield the base address of the running application."""
    async with serving(app, lifespan="auto", ws="none") as address:
        yield f"http://{address}"


class EchoServer:
    """Answers with what it was sent; some paths answer in the ways that clients must survive."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.pages: dict[str, tuple[str | bytes, str]] = {}
        self.failures_left = 0
        self.failure_status = 503
        self.app = Starlette(
            routes=[
                Route("/flaky", self.flaky, methods=METHODS),
                Route("/status/{code:int}", self.status, methods=METHODS),
                Route("/slow", self.slow),
                Route("/away", self.away),
                Route("/page/{name}", self.page),
                Route("/{path:path}", self.echo, methods=METHODS),
            ]
        )

    async def echo(self, request: Request) -> Response:
        raw_path: bytes = request.scope["raw_path"]
        seen = {
            "method": request.method,
            "path": raw_path.decode(),
            "query": request.scope["query_string"].decode(),
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
        }
        self.requests.append(seen)
        return JSONResponse(seen)

    async def flaky(self, request: Request) -> Response:
        self.requests.append({"headers": dict(request.headers)})
        if self.failures_left:
            self.failures_left -= 1
            return PlainTextResponse("not now", self.failure_status, {"Retry-After": "0"})
        return JSONResponse({"ok": True})

    async def status(self, request: Request) -> Response:
        text = f"no luck, {request.headers.get('authorization', 'stranger')}"
        return PlainTextResponse(text, int(request.path_params["code"]))

    async def slow(self, request: Request) -> Response:
        while not await request.is_disconnected():
            await asyncio.sleep(0.02)
        return Response()

    async def away(self, request: Request) -> Response:
        return RedirectResponse(request.query_params["to"])

    async def page(self, request: Request) -> Response:
        content, media_type = self.pages[request.path_params["name"]]
        return Response(content, media_type=media_type)
