"""Routers: strict query parameters, strict JSON, idempotent writes, dispatch by prefix."""

import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from operator import attrgetter
from typing import Any, cast

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from starlette.routing import BaseRoute, Match
from starlette.routing import Router as StarletteRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from muster.kernel.errors import MethodNotAllowed
from muster.kernel.http.idempotency import HEADER, answer_once

BASE = "/api/v1"
PROJECT_QUERY = "group_id"
"""Every operation takes the project as a query parameter too, besides the header."""

_ESCAPED_NUL = rb"\u0000"
# The escape itself, and not a backslash that is escaped before the same letters.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
# Far below what the serializers can write again.
_DEEPEST = 100
_TOO_DEEP = f"nested more than {_DEEPEST} levels deep"


class StrictRequest(Request):
    """A request whose JSON is read strictly: no NaN, no lone surrogates, no NUL, no abyss."""

    async def json(self) -> Any:
        body = await self.body()
        # NUL is valid JSON, yet PostgreSQL cannot store it, and no field of ours means it.
        if _ESCAPED_NUL in body and _NUL.search(body):
            raise json.JSONDecodeError("NUL characters are not allowed", "", 0)
        try:
            value = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeError) as error:
            text = str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8"
            raise json.JSONDecodeError(text, "", 0) from error
        except RecursionError as error:
            raise json.JSONDecodeError(_TOO_DEEP, "", 0) from error
        if body.count(b"[") + body.count(b"{") > _DEEPEST and _is_deeper(value, _DEEPEST):
            raise json.JSONDecodeError(_TOO_DEEP, "", 0)
        return value


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(cast("dict[str, Any]", value).values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in cast("list[Any]", value))


class Route(APIRoute):
    """A route that refuses query parameters it does not know."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler: Callable[[Request], Awaitable[Response]] = super().get_route_handler()
        known = query_names(self.dependant) | {PROJECT_QUERY}

        async def handle(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if self.secured and self.body_field is not None:
                # Else the body would be read, and its faults told, before it is known who asks.
                await request.app.state.identify(strict)
            unknown = [name for name in request.query_params if name not in known]
            if unknown:
                if (identify := getattr(request.app.state, "identify", None)) and self.secured:
                    await identify(strict)
                raise RequestValidationError([_unknown(name) for name in unknown])
            if request.method == "POST" and HEADER in request.headers and self.secured:
                return await answer_once(strict, handler)
            return await handler(strict)

        return handle

    @property
    def secured(self) -> bool:
        """Tell whether the operation needs a caller."""
        return required_scope(self.dependant) is not None


def _unknown(name: str) -> dict[str, Any]:
    return {
        "type": "extra_forbidden",
        "loc": ("query", name),
        "msg": "This query parameter is not known here",
        "input": None,
    }


def query_names(dependant: Dependant) -> set[str]:
    """Return the names of all query parameters of an operation, those inside models too."""
    names: set[str] = set()
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            names |= {info.alias or name for name, info in model.model_fields.items()}
            names |= {alias for info in model.model_fields.values() for alias in _aliases(info)}
        else:
            names.add(field.alias)
    return names.union(*(query_names(inner) for inner in dependant.dependencies))


def _aliases(info: FieldInfo) -> list[str]:
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str)]
    return [alias] if isinstance(alias, str) else []


def required_scope(dependant: Dependant) -> str | None:
    """Return the scope that an operation declares; see `muster.platform.identity.requires`."""
    found = getattr(dependant.call, "required_scope", None)
    if found is not None:
        return str(found)
    for inner in dependant.dependencies:
        if (scope := required_scope(inner)) is not None:
            return scope
    return None


class Router(APIRouter):
    """The operations of one slice, under the base path of the API.

    Args:
        prefix: Path below the base, such as `/agents`.
        tag: Heading in the reference.
        base: Other base path, for the few operations that live at the root.
    """

    def __init__(self, prefix: str = "", *, tag: str, base: str = BASE) -> None:
        super().__init__(
            prefix=base + prefix,
            tags=[tag],
            route_class=Route,
            generate_unique_id_function=attrgetter("name"),
        )


class PrefixDispatch:
    """Sends a request to the routes that share its first path segments.

    Route matching is linear, so with hundreds of routes the last one would answer several times
    slower than the first. One dictionary look-up leaves a handful of routes to try. Where none of
    them takes the method, the answer names the methods of all that have the path.

    Args:
        routes: What is served.
        lifespan: What answers for the life of the process.
        missing: Called with a prefix before its routes are looked up; adds those that are missing.
    """

    def __init__(
        self,
        routes: Iterable[BaseRoute],
        lifespan: ASGIApp,
        missing: Callable[[str], object] | None = None,
    ) -> None:
        self._groups: dict[str, list[BaseRoute]] = {}
        self.add(routes)
        self._nothing = StarletteRouter([], redirect_slashes=False)
        self._lifespan = lifespan
        self._missing = missing

    def add(self, routes: Iterable[BaseRoute]) -> None:
        """Serve more routes."""
        for route in routes:
            prefix = prefix_of(getattr(route, "path", ""))
            self._groups.setdefault(prefix, []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        allowed: set[str] = set()
        prefix = prefix_of(scope["path"])
        if self._missing is not None:
            self._missing(prefix)
        for route in self._groups.get(prefix, []):
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                await route.handle(scope, receive, send)
                return
            if match is Match.PARTIAL:
                allowed |= getattr(route, "methods", None) or set()
        if allowed:
            raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(allowed))})
        await self._nothing(scope, receive, send)


def prefix_of(path: str) -> str:
    """Return the part of a path by which its routes are found: `/api/v1/agents`, or `/health`."""
    if path.startswith(BASE + "/"):
        return BASE + "/" + path[len(BASE) + 1 :].split("/", 1)[0]
    return "/" + path.lstrip("/").split("/", 1)[0]
