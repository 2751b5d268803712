"""The application class: everything that holds for every operation."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from muster.kernel.errors import (
    AppError,
    BadRequest,
    Forbidden,
    Invalid,
    NotFound,
    PayloadTooLarge,
    Unauthorized,
)
from muster.kernel.http import documentation
from muster.kernel.http.idempotency import Replayed, replay
from muster.kernel.http.lazy import LazyRouter, together
from muster.kernel.http.middleware import BodyLimit, CanonicalPath, RequestContext
from muster.kernel.http.problems import HANDLERS, REFS, Problem, problems
from muster.kernel.http.routing import PrefixDispatch, Router, required_scope

MAX_BODY_BYTES = 20 * 2**20
_PROJECT_HEADER: dict[str, Any] = {
    "name": "X-Project-Id",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Project of the request; else the caller's active project. "
    "`group_id`, as a header or a query parameter, means the same.",
}
_IDEMPOTENCY_HEADER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Sent again with the same key, the request has no second effect and gets the "
    "first answer; kept for 24 hours.",
}


_SECURITY: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of `POST /auth/login`, or an API key. A key may also be "
        "sent as `X-API-Key`.",
    }
}

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


class App(FastAPI):
    """FastAPI whose every error is a documented problem and whose routes are found by prefix.

    Args:
        docs: Serve the interactive documentation and the OpenAPI document.
        cors_origins: Origins whose pages may call the API.
    """

    def __init__(self, *, docs: bool, cors_origins: list[str], **options: Any) -> None:
        self._dispatch: PrefixDispatch | None = None
        self._lazy: dict[str, list[LazyRouter]] = {}
        super().__init__(
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            telemetry=_NO_TELEMETRY,
            **options,
        )
        # The last that is added is the first that a request meets.
        self.add_middleware(BodyLimit, limit=MAX_BODY_BYTES)
        if cors_origins:
            self.add_middleware(
                CORSMiddleware,
                allow_origins=cors_origins,
                allow_methods=["*"],
                allow_headers=["*"],
                allow_credentials="*" not in cors_origins,
                expose_headers=["X-Request-Id", "Idempotency-Replayed"],
            )
        self.add_middleware(RequestContext)
        self.add_middleware(CanonicalPath)
        for error, handler in HANDLERS.items():
            self.add_exception_handler(error, handler)
        self.add_exception_handler(Replayed, replay)
        if docs:
            self._add_docs()

    def mount_router(self, router: Router) -> None:
        """Serve the operations of a slice."""
        self.router.routes.extend(router.routes)
        if self._dispatch is not None:
            self._dispatch.add(router.routes)

    def mount_when_asked(self, routers: Sequence[LazyRouter]) -> None:
        """Serve the operations of slices, each imported when one of its paths is first asked for.

        Called once.
        """
        self._lazy = together(routers)

    def load(self, prefix: str | None = None) -> bool:
        """Import the routers that serve a prefix, or else some of those that nobody has asked for.

        Returns whether there was anything left to import.
        """
        if prefix is None:
            prefix = next(iter(self._lazy), "")
        lazy = self._lazy.get(prefix, [])
        # All or none of them: one that cannot be imported must not leave half of its prefix.
        for router in [one.load() for one in lazy]:
            self.mount_router(router)
        for served in [served for one in lazy for served in one.prefixes]:
            self._lazy.pop(served, None)
        return bool(lazy)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the dispatch by prefix behind the middleware, in the place of the linear search.

        FastAPI's own layers around all others are left out, since each costs every request: ours
        limit bodies, and faults are answered inside of them, so that such an answer too has the
        shared headers.
        """
        self._dispatch = PrefixDispatch(self.router.routes, self.router.app, self.load)
        app: ASGIApp = AsyncExitStackMiddleware(self._dispatch)
        app = ExceptionMiddleware(app, handlers=self.exception_handlers)
        for layer in reversed(self.user_middleware):
            app = layer.cls(app, *layer.args, **layer.kwargs)
        return app

    def operations(self) -> list[APIRoute]:
        """Return the operations that are part of the API."""
        while self.load():
            pass
        return [r for r in self.router.routes if isinstance(r, APIRoute) and r.include_in_schema]

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document; built once."""
        if self.openapi_schema:
            return self.openapi_schema
        operations = self.operations()
        document = super().openapi()
        schema = Problem.model_json_schema(ref_template=REFS + "{model}")
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components |= schema.pop("$defs") | {"Problem": schema}
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        document["components"]["securitySchemes"] = _SECURITY
        for route in operations:
            for method in route.methods or ():
                _complete(document["paths"][route.path_format][method.lower()], route, method)
        self.openapi_schema = _named_by_title(document)
        return self.openapi_schema

    def _add_docs(self) -> None:
        async def document(_: Request) -> Response:
            return _json(self.openapi())

        pages = [
            ("/docs", "/openapi.json", documentation.SWAGGER_UI),
            ("/redoc", "/openapi.json", documentation.REDOC),
            ("/api-docs", "/api-openapi.json", documentation.SWAGGER_UI),
            ("/api-redoc", "/api-openapi.json", documentation.REDOC),
        ]
        for path in ("/openapi.json", "/api-openapi.json"):
            self.add_route(path, document, include_in_schema=False)
        for path, source, viewer in pages:
            endpoint = documentation.page(viewer, source=source, title=self.title)
            self.add_route(path, endpoint, include_in_schema=False)
        files = documentation.ASSETS + "/{name}"
        self.add_route(files, documentation.asset, include_in_schema=False)


def _json(document: dict[str, Any]) -> Response:
    import msgspec

    return Response(msgspec.json.encode(document), media_type="application/json")


def _named_by_title(document: dict[str, Any]) -> dict[str, Any]:
    """Give `Page_AgentOut_` and the like the name of the class, `AgentPage`."""
    schemas: dict[str, dict[str, Any]] = document["components"]["schemas"]
    text = json.dumps(document)
    for name in [name for name in schemas if name.endswith("_")]:
        text = text.replace(f'"{REFS}{name}"', f'"{REFS}{schemas[name]["title"]}"')
    renamed: dict[str, Any] = json.loads(text)
    renamed["components"]["schemas"] = {
        schema["title"] if name.endswith("_") else name: schema
        for name, schema in renamed["components"]["schemas"].items()
    }
    return renamed


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    """Add what every operation has: its scope, the shared headers, the shared problems."""
    shared: list[type[AppError]] = [Invalid]
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter.setdefault("description", _meaning(parameter["name"]))
    scope = required_scope(route.dependant)
    if scope is not None:
        operation["x-required-scope"] = scope
        operation["security"] = [{"bearer": []}]
        operation.setdefault("parameters", []).append(_PROJECT_HEADER)
        shared += [Unauthorized, Forbidden, NotFound]  # the last: not a member of the project
        if method == "POST":
            operation["parameters"].append(_IDEMPOTENCY_HEADER)
    by_cursor = any(p["name"] == "cursor" for p in operation.get("parameters", []))
    if by_cursor or method in {"POST", "PUT", "PATCH"}:
        shared.append(BadRequest)
    if "requestBody" in operation:
        shared.append(PayloadTooLarge)
    responses = operation.setdefault("responses", {})
    for status, problem in problems(*shared).items():
        known = responses.get(str(status))
        if known is None or "HTTPValidationError" in str(known):
            responses[str(status)] = problem


def _meaning(parameter: str) -> str:
    """Return what a parameter of a path is, from its name: `agent_id` is the id of the agent."""
    thing, _, what = parameter.rpartition("_")
    return f"{what.capitalize()} of the {thing.replace('_', ' ')}." if thing else f"Its {what}."
