"""The API description and its operations, as the sweeps read them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from muster.entrypoints.routers import ROUTERS
from muster.kernel.http import App

PUBLIC = {
    "register": "makes the account",
    "login": "proves who one is by a password",
    "refresh_tokens": "proves who one is by a refresh token",
    "accept_invitation": "proves who one is by an invitation",
    "receive_hook": "proves where it comes from by a secret of the trigger",
    "get_health": "monitors do not sign in",
    "get_metrics": "scrapers do not sign in",
}
"""Operations that need no token, and why. Review each addition."""

_REFERENCE = "#/components/schemas/"
_METHODS = {"get", "put", "post", "delete", "patch"}


def make_app(*, docs: bool = True) -> App:
    """Return the application's HTTP surface, without what is behind it."""
    app = App(docs=docs, cors_origins=[], title="Muster", version="0")
    app.mount_when_asked(ROUTERS)
    return app


APP = make_app()
DOCUMENT: dict[str, Any] = APP.openapi()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the description."""

    method: str
    path: str
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.spec["operationId"])

    @property
    def scopes(self) -> list[str]:
        """The scopes of which one is needed; none where the operation is public."""
        declared: str | None = self.spec.get("x-required-scope")
        return declared.split(" or ") if declared else []

    @property
    def is_public(self) -> bool:
        return self.id in PUBLIC

    @property
    def names_project(self) -> bool:
        """Tell whether the path itself says which project is meant."""
        return self.path.startswith("/api/v1/projects/{project_id}")

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return list(self.spec.get("parameters", []))

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def responses(self) -> dict[str, Any]:
        return dict(self.spec["responses"])

    @property
    def streams(self) -> bool:
        return "text/event-stream" in self.responses.get("200", {}).get("content", {})

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of the JSON body, if there is one."""
        content = self.spec.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        return None if schema is None else resolved(schema)

    def smallest_query(self) -> dict[str, str]:
        """Return the query parameters that are required."""
        return {
            p["name"]: str(example_of(p["schema"]))
            for p in self.parameters
            if p["in"] == "query" and p.get("required")
        }

    def smallest_body(self) -> Any:
        """Return a body with what is required and nothing else."""
        return None if self.body is None else example_of(self.body)


def operations() -> Iterator[Operation]:
    for path, item in DOCUMENT["paths"].items():
        for method, spec in item.items():
            if method in _METHODS:
                yield Operation(method.upper(), path, spec)


OPERATIONS = list(operations())


def one_per_handler(chosen: list[Operation]) -> list[Operation]:
    """Leave out operations that are served by the same handler under another path."""
    handlers = {route.name: route.endpoint for route in APP.operations()}
    return list({handlers[o.id]: o for o in reversed(chosen)}.values())


def each(chosen: list[Operation]) -> list[ParameterSet]:
    """Return operations as parameters of a test."""
    return [pytest.param(o, id=o.id) for o in chosen]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references, and take the side of an optional schema that is not null."""
    while True:
        if "$ref" in schema:
            schema = SCHEMAS[schema["$ref"].removeprefix(_REFERENCE)]
        elif "anyOf" in schema and not schema.get("examples"):
            schema = next(s for s in schema["anyOf"] if s.get("type") != "null")
        else:
            return schema


def example_of(schema: dict[str, Any]) -> Any:
    """Return an example: the one in the schema, else one made of its required parts."""
    schema = resolved(schema)
    if schema.get("examples"):
        return schema["examples"][0]
    for keyword in ("default", "const"):
        if keyword in schema:
            return schema[keyword]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: example_of(properties[name]) for name in schema.get("required", [])}
        case "array":
            return [example_of(schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return "a" * max(1, schema.get("minLength", 1))
