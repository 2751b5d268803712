"""OpenAPI documents as tools, called against a real server."""

import json
from typing import Any

import pytest

from muster.adapters.tools import openapi
from muster.adapters.tools.base import (
    ToolConfigurationInvalid,
    ToolFailed,
    ToolInputInvalid,
    validate_schema,
)
from muster.adapters.tools.exchange import Auth
from muster.adapters.tools.openapi_call import call
from muster.kernel.egress import Egress
from tests.support.echo_server import EchoServer

pytestmark = pytest.mark.anyio

PETS = """
openapi: 3.0.3
info: {title: Pets, version: 2024-01-31, description: All about pets}
servers:
  - url: "{scheme}://api.example.com/{base}/"
    variables: {scheme: {default: https}, base: {default: v2}}
paths:
  /pets/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer}}
      - {name: trace, in: header, schema: {type: string}, description: A trace.}
    get:
      operationId: getPet
      summary: Read a pet
      description: By its number.
      parameters:
        - $ref: '#/components/parameters/Fields'
        - {name: filter, in: query, style: deepObject, schema: {type: object}}
        - {name: range, in: query, schema: {type: object}}
        - {name: flat, in: query, explode: false, schema: {type: object}}
        - {name: pipes, in: query, style: pipeDelimited, explode: false, schema: {type: array}}
        - {name: raw, in: query, content: {application/json: {schema: {type: object}}}}
        - {name: Authorization, in: header, schema: {type: string}}
        - {name: session, in: cookie, schema: {type: string}}
      responses: {200: {description: ok}}
    put:
      operationId: getPet
      requestBody: {$ref: '#/components/requestBodies/Pet'}
      responses: {200: {description: ok}}
    delete:
      operationId: remove/pet with a name that is far longer than any model would take as a name
      parameters:
        - {name: sure, in: cookie, required: true, schema: {type: string}}
  /pets:
    post:
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema: {type: object, properties: {name: {type: string}, tags: {type: array}}}
  /notes/{day}:
    post:
      operationId: note
      requestBody:
        required: true
        description: The note.
        content: {text/plain: {schema: {type: string}}}
  /upload:
    post:
      operationId: upload
      requestBody:
        required: true
        content: {multipart/form-data: {schema: {type: object}}}
    put:
      operationId: maybe
      requestBody:
        content: {multipart/form-data: {schema: {type: object}}}
  /patch:
    patch:
      operationId: patch
      requestBody:
        required: true
        content:
          application/merge-patch+json: {schema: {type: array, items: {type: integer}}}
  x-ignored: {get: {}}
components:
  parameters:
    Fields: {name: fields, in: query, schema: {type: array, items: {type: string}}}
  requestBodies:
    Pet:
      required: true
      content:
        application/xml: {schema: {type: string}}
        application/json: {schema: {$ref: '#/components/schemas/Pet'}}
  schemas:
    Pet:
      type: object
      required: [name, id, born]
      properties:
        id: {type: integer, readOnly: true}
        name: {type: string, nullable: true, example: Rex, x-note: gone}
        born: {type: string, format: date, default: 2020-05-05}
        kind: {type: string, nullable: true, enum: [cat, dog]}
        weight:
          {type: number, minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false}
        parent: {$ref: '#/components/schemas/Pet'}
        friends: {type: array, items: {$ref: '#/components/schemas/Friend'}}
        far: {$ref: 'https://example.com/schema.json'}
        lost: {$ref: '#/components/schemas/Nowhere'}
        free: {type: object, additionalProperties: true, required: yes}
    Friend:
      allOf:
        - {$ref: '#/components/schemas/Pet', description: A friend}
        - {type: object}
"""


@pytest.fixture(scope="module")
def pets() -> openapi.OpenApiDocument:
    return openapi.parse(PETS)


def test_what_a_document_offers(pets: openapi.OpenApiDocument) -> None:
    assert (pets.title, pets.version) == ("Pets", "2024-01-31")
    assert [operation.name for operation in pets.operations] == [
        "getPet",
        "getPet_2",
        "post_pets",
        "note",
        "maybe",
        "patch",
    ]
    assert pets.skipped == (
        "DELETE /pets/{id}: it needs a cookie",
        "POST /upload: it needs a body of type multipart/form-data",
    )
    get = pets.operation("getPet")
    assert get.description == "Read a pet\n\nBy its number."
    assert get.server == "https://api.example.com/v2"
    assert pets.operation("POST /pets").description == "POST /pets"
    with pytest.raises(ToolConfigurationInvalid, match="no operation 'fly'"):
        pets.operation("fly")


def test_the_schema_merges_every_place(pets: openapi.OpenApiDocument) -> None:
    get = pets.operation("getPet").input_schema
    assert set(get["properties"]) == {
        "id", "trace", "fields", "filter", "range", "flat", "pipes", "raw",
    }  # fmt: skip
    assert get["required"] == ["id"]
    assert get["properties"]["trace"] == {"type": "string", "description": "A trace."}

    put = pets.operation("getPet_2")
    assert put.bindings["id"].place == "path"
    assert put.bindings["name"].place == "body"
    assert put.input_schema["required"] == ["id", "name", "born"]
    note = pets.operation("note").input_schema
    assert note["properties"]["body"] == {"type": "string", "description": "The note."}
    assert note["required"] == ["day", "body"]


def test_schemas_become_json_schema_and_cycles_survive(pets: openapi.OpenApiDocument) -> None:
    schema = pets.operation("getPet_2").input_schema
    validate_schema(schema)
    properties = schema["properties"]
    assert properties["name"] == {"type": ["string", "null"]}
    assert properties["kind"]["enum"] == ["cat", "dog", None]
    assert properties["weight"] == {"type": "number", "exclusiveMinimum": 0, "maximum": 9}
    assert properties["born"]["default"] == "2020-05-05"
    assert properties["far"]["description"].startswith("Described by an external document")
    assert properties["lost"] == {}
    assert properties["free"] == {"type": "object", "additionalProperties": True}
    assert properties["parent"] == {"$ref": "#/$defs/Pet"}
    assert schema["$defs"]["Pet"]["properties"]["parent"] == {"$ref": "#/$defs/Pet"}
    friend = properties["friends"]["items"]["allOf"][0]
    assert friend == {"$ref": "#/$defs/Pet"} or friend["description"] == "A friend"


async def test_an_operation_is_called(
    pets: openapi.OpenApiDocument, egress: Egress, base_url: str, echo: EchoServer
) -> None:
    arguments = {
        "id": 5,
        "trace": "t1",
        "fields": ["a", "b"],
        "filter": {"kind": "cat", "age": 3},
        "range": {"from": 1, "to": 2},
        "flat": {"x": 1},
        "pipes": ["p", "q"],
        "raw": {"k": [1]},
    }
    auth = Auth(type="bearer", secret="key")
    outcome = await call(
        pets, "getPet", arguments, egress, base_url=f"{base_url}/v2/", auth=auth, secret="tok-123"
    )
    seen = outcome.content["body"]
    assert (seen["method"], seen["path"]) == ("GET", "/v2/pets/5")
    assert seen["headers"]["trace"] == "t1"
    assert seen["headers"]["authorization"] == "Bearer ***"
    assert seen["query"] == (
        "fields=a&fields=b&filter%5Bkind%5D=cat&filter%5Bage%5D=3&from=1&to=2&flat=x%2C1"
        "&pipes=p%7Cq&raw=%7B%22k%22%3A+%5B1%5D%7D"
    )


@pytest.mark.parametrize(
    ("name", "arguments", "body", "media_type"),
    [
        (
            "getPet_2",
            {"id": 1, "name": None, "born": "2020-01-01", "parent": {"name": "Max", "born": "x"}},
            '{"name": null, "born": "2020-01-01", "parent": {"name": "Max", "born": "x"}}',
            "application/json",
        ),
        (
            "post_pets",
            {"name": "Rex & co", "tags": ["a", "b"]},
            "name=Rex+%26+co&tags=a&tags=b",
            "application/x-www-form-urlencoded",
        ),
        ("note", {"day": "mon", "body": "Grüße"}, "Grüße", "text/plain; charset=utf-8"),
        ("patch", {"body": [1, 2]}, "[1, 2]", "application/merge-patch+json"),
        ("maybe", {}, "", None),
    ],
)
async def test_bodies_of_every_kind(
    pets: openapi.OpenApiDocument,
    egress: Egress,
    base_url: str,
    echo: EchoServer,
    name: str,
    arguments: dict[str, Any],
    body: str,
    media_type: str | None,
) -> None:
    await call(pets, name, arguments, egress, base_url=base_url)
    assert echo.requests[-1]["body"] == body
    assert echo.requests[-1]["headers"].get("content-type") == media_type


async def test_arguments_and_servers_are_checked(
    pets: openapi.OpenApiDocument, egress: Egress, base_url: str
) -> None:
    with pytest.raises(ToolInputInvalid, match="id: must be of type integer"):
        await call(pets, "getPet", {"id": "x"}, egress, base_url=base_url)
    with pytest.raises(ToolInputInvalid, match="part of the address"):
        await call(pets, "note", {"day": "..", "body": "x"}, egress, base_url=base_url)
    bare = openapi.parse('{"openapi": "3.1.0", "paths": {"/a": {"get": {}}}}')
    with pytest.raises(ToolConfigurationInvalid, match="configure a base URL"):
        await call(bare, "GET /a", {}, egress)


async def test_conflicts_get_a_prefix_and_styles_of_the_path(
    egress: Egress, base_url: str, echo: EchoServer
) -> None:
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "array"}},
        {"name": "id", "in": "query", "schema": {"type": "string"}},
        {"name": "query_id", "in": "query", "schema": {"type": ["string", "null"]}},
        {"name": "o", "in": "header", "schema": {"type": "object"}},
        {"name": "e", "in": "header", "explode": True, "schema": {"type": "object"}},
        {"name": "c", "in": "header", "content": {"application/json": {}}},
        {"name": "l", "in": "query", "explode": False, "schema": {"type": "array"}},
        {"name": "Host", "in": "header", "schema": {"type": "string"}},
    ]
    body = {"content": {"*/*": {"schema": {"type": "object", "properties": {"id": {}}}}}}
    document = openapi.parse_object(
        {
            "openapi": "3.1.0",
            "servers": [{"url": base_url}],
            "paths": {"/x/{id}": {"post": {"parameters": parameters, "requestBody": body}}},
        }
    )
    operation = document.operations[0]
    assert set(operation.input_schema["properties"]) == {
        "path_id", "query_id", "query_query_id", "body_id", "o", "e", "c", "l", "Host",
    }  # fmt: skip
    await call(
        document,
        operation.name,
        {
            "path_id": [1, 2],
            "query_id": "q",
            "query_query_id": None,
            "body_id": 3,
            "o": {"a": 1, "b": 2},
            "e": {"a": 1, "b": 2},
            "c": {"z": 1},
            "l": ["m", "n"],
            "Host": "evil.example",
        },
        egress,
    )
    seen = echo.requests[-1]
    assert seen["path"] == "/x/1%2C2"
    assert seen["query"] == "id=q&l=m%2Cn"
    assert json.loads(seen["body"]) == {"id": 3}
    assert seen["headers"]["o"] == "a,1,b,2"
    assert seen["headers"]["e"] == "a=1,b=2"
    assert seen["headers"]["c"] == '{"z": 1}'
    assert "evil" not in seen["headers"]["host"]


async def test_a_document_is_fetched(egress: Egress, base_url: str, echo: EchoServer) -> None:
    document = {"openapi": "3.1.0", "servers": [{"url": "../v1"}], "paths": {"/a": {"get": {}}}}
    echo.pages["spec"] = (json.dumps(document), "application/json")
    fetched = await openapi.fetch(f"{base_url}/page/spec", egress)
    assert fetched.operations[0].server == f"{base_url}/v1"
    del document["servers"]
    echo.pages["spec"] = (json.dumps(document), "application/json")
    fetched = await openapi.fetch(f"{base_url}/page/spec", egress)
    assert fetched.operations[0].server == base_url
    with pytest.raises(ToolFailed, match="status 404"):
        await openapi.fetch(f"{base_url}/status/404", egress)


def _bomb() -> str:
    lines = ["openapi: 3.0.0", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1]", "JSON or YAML object"),
        ("a: [", r"neither JSON nor YAML that can be read \(line"),
        ("{" * 50_000, "neither JSON nor YAML"),
        ('{"swagger": "2.0"}', "Swagger 2.0"),
        ('{"openapi": "4.0.0"}', "'4.0.0'"),
        ('{"openapi": 3}', "Only OpenAPI 3.0 and 3.1"),
        (_bomb(), "too large or nested"),
        ("openapi: 3.0.0\na: &a {b: *a}", "too large or nested"),
        ("x" * 5_000_001, "larger than 5 MB"),
    ],
)
def test_documents_that_cannot_be_read(text: str, expected: str) -> None:
    with pytest.raises(ToolConfigurationInvalid, match=expected):
        openapi.parse(text)


def test_odd_documents_are_read_as_far_as_they_make_sense() -> None:
    document = openapi.parse_object(
        {
            "openapi": "3.0.1",
            "paths": {
                "/loop": {"$ref": "#/paths/~1loop"},
                "/gone": {"$ref": "#/paths/nothing"},
                "/list": {"$ref": "#/x-list/0"},
                "/beyond": {"$ref": "#/x-list/9"},
                "/deep": {"$ref": "#/info/title/x"},
                "/far": {"$ref": "other.yaml#/a"},
                "/odd": {"get": {"parameters": "none", "requestBody": {"content": {"a/b": 1}}}},
                "/flag": {
                    "get": {"requestBody": {"content": {"application/json": {"schema": True}}}}
                },
            },
            "info": {"title": 5},
            "x-list": [{"get": {"operationId": "***"}, "servers": [{"url": "/only/a/path"}]}],
        }
    )
    assert [operation.name for operation in document.operations] == [
        "operation",
        "get_odd",
        "get_flag",
    ]
    assert document.operations[0].server is None
    assert document.operations[1].input_schema["properties"] == {}
    assert document.operations[2].input_schema["properties"] == {"body": {}}


def test_a_document_that_would_explode_is_cut() -> None:
    schemas: dict[str, Any] = {"S0": {"type": "string"}}
    for number in range(1, 30):
        below = {"$ref": f"#/components/schemas/S{number - 1}"}
        schemas[f"S{number}"] = {"type": "object", "properties": {"a": below, "b": below}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S29"}}}}
    document = openapi.parse_object(
        {
            "openapi": "3.0.0",
            "paths": {"/x": {"post": {"requestBody": body}}},
            "components": {"schemas": schemas},
        }
    )
    assert len(json.dumps(document.operations[0].input_schema)) < 2_000_000


def test_cycles_through_several_schemas_get_names_of_their_own() -> None:
    document = openapi.parse_object(
        {
            "openapi": "3.1.0",
            "paths": {
                "/x": {
                    "post": {
                        "requestBody": {
                            "content": {
                                "application/json": {
                                    "schema": {
                                        "type": "object",
                                        "properties": {
                                            "a": {"$ref": "#/components/schemas/Node"},
                                            "b": {"$ref": "#/x-other/Node"},
                                        },
                                    }
                                }
                            }
                        }
                    }
                }
            },
            "components": {"schemas": {"Node": {"items": {"$ref": "#/components/schemas/Node"}}}},
            "x-other": {"Node": {"not": {"$ref": "#/x-other/Node"}}},
        }
    )
    schema = document.operations[0].input_schema
    assert schema["properties"]["a"] == {"items": {"$ref": "#/$defs/Node"}}
    assert schema["properties"]["b"] == {"not": {"$ref": "#/$defs/Node_2"}}
    assert set(schema["$defs"]) == {"Node", "Node_2"}
