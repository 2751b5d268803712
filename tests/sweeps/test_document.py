"""The API description: every operation is named, guarded, explained and shown by example."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

import httpx2
import jsonschema
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from muster.entrypoints.routers import ROUTERS
from muster.kernel.http import LazyRouter
from muster.kernel.http.routing import prefix_of
from muster.platform.access import Scope
from tests.sweeps.document import (
    APP,
    DOCUMENT,
    OPERATIONS,
    PUBLIC,
    SCHEMAS,
    Operation,
    each,
    example_of,
    make_app,
)

pytestmark = pytest.mark.anyio

PAGES = ("/docs", "/redoc", "/api-docs", "/api-redoc")
DOCUMENTS = ("/openapi.json", "/api-openapi.json")
WITH_BODY = [o for o in OPERATIONS if o.body is not None]
LOGIN = "login"


def parts_of(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object inside a JSON value."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        yield from chain.from_iterable(map(parts_of, inner))


def test_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    jsonschema.Draft202012Validator(OPENAPI_31).validate(DOCUMENT)
    for name, schema in SCHEMAS.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", name), f"{name} is no name for readers"


def test_every_reference_resolves() -> None:
    references = {p["$ref"] for p in parts_of(DOCUMENT) if isinstance(p.get("$ref"), str)}
    assert references <= {f"#/components/schemas/{name}" for name in SCHEMAS}
    assert "#/$defs" not in json.dumps(DOCUMENT)
    unused = {f"#/components/schemas/{name}" for name in SCHEMAS} - references
    assert not unused, "components that nothing refers to"


def test_operation_ids_are_the_names_of_the_handlers() -> None:
    ids = Counter(o.id for o in OPERATIONS)
    assert [name for name, count in ids.items() if count > 1] == []
    for name in ids:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name), name
    for route in APP.operations():
        assert route.operation_id is None
        assert route.unique_id == route.name
    # Of the paths of one handler, one has its name.
    assert {route.endpoint.__name__ for route in APP.operations()} <= set(ids)


def test_public_operations_are_the_reviewed_ones() -> None:
    assert {o.id for o in OPERATIONS if not o.scopes} == set(PUBLIC)


@pytest.mark.parametrize("operation", each(OPERATIONS))
def test_operation_is_described(operation: Operation) -> None:
    spec = operation.spec
    assert len(spec.get("description", "").split()) >= 3, "the docstring is the prose of the API"
    assert spec["summary"]
    assert spec["tags"]
    assert set(operation.scopes) <= set(Scope) | {LOGIN}
    for parameter in operation.parameters:
        assert parameter.get("description"), f"{parameter['in']} parameter {parameter['name']}"
        assert parameter.get("schema"), parameter["name"]


@pytest.mark.parametrize("operation", each(OPERATIONS))
def test_operation_declares_its_problems(operation: Operation) -> None:
    wanted = {"422"}
    if operation.scopes:
        # 404 is also what a project answers that one is no member of.
        wanted |= {"401", "403", "404"}
        assert operation.spec["security"] == [{"bearer": []}]
    if operation.path_parameters:
        wanted.add("404")
    if operation.body is not None:
        wanted |= {"400", "413"}
    assert wanted <= set(operation.responses)
    for status, response in operation.responses.items():
        assert response["description"], status
        if status[0] in "45" and "application/problem+json" in response["content"]:
            content = response["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["examples"], f"no example of {status}"


def test_security_scheme_is_defined() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


@pytest.mark.parametrize("operation", each(WITH_BODY))
def test_body_has_an_example_that_fits(operation: Operation) -> None:
    schema = operation.body
    assert schema is not None
    fields = schema.get("properties", {})
    assert schema.get("examples") or any(f.get("examples") for f in fields.values()), (
        "give the body, or one of its fields, an example"
    )
    whole = {**schema, "components": DOCUMENT["components"]}
    shown = {n: f["examples"][0] for n, f in fields.items() if f.get("examples")}
    for example in (*schema.get("examples", []), example_of(schema) | shown):
        jsonschema.Draft202012Validator(whole).validate(example)


@pytest.mark.parametrize("operation", each(OPERATIONS))
def test_answer_has_a_schema(operation: Operation) -> None:
    good = {status: r for status, r in operation.responses.items() if status[0] == "2"}
    assert len(good) == 1
    ((status, response),) = good.items()
    if status == "204":
        assert not response.get("content")
        return
    for kind, content in response["content"].items():
        assert kind != "application/json" or content["schema"], "an answer of no known shape"


@pytest.mark.parametrize("lazy", ROUTERS, ids=lambda lazy: f"{lazy.module}.{lazy.name}")
def test_a_router_is_looked_for_by_the_paths_that_it_serves(lazy: LazyRouter) -> None:
    served = {prefix_of(route.path) for route in lazy.load().routes}  # type: ignore[attr-defined]
    assert served == set(lazy.prefixes)


async def test_document_and_pages_are_served() -> None:
    transport = httpx2.ASGITransport(make_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://muster.test") as client:
        for path in DOCUMENTS:
            answer = await client.get(path)
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == DOCUMENT
        for path in PAGES:
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/html")
            source = "/api-openapi.json" if "api" in path else "/openapi.json"
            assert f'"{source}"' in answer.text.replace("'", '"')


async def test_without_docs_nothing_is_served() -> None:
    transport = httpx2.ASGITransport(make_app(docs=False))
    async with httpx2.AsyncClient(transport=transport, base_url="http://muster.test") as client:
        for path in (*DOCUMENTS, *PAGES):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
