"""Bodies that no client should send: every operation refuses them, and none ever fails."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from tests.sweeps.calling import Answer
from tests.sweeps.conftest import NewWorld
from tests.sweeps.document import OPERATIONS, Operation, each, one_per_handler, resolved
from tests.sweeps.test_access import assert_problem
from tests.sweeps.world import World

WITH_BODY = [o for o in OPERATIONS if o.body is not None]
HANDLERS = one_per_handler(WITH_BODY)
PERSON = "superadmin"
MEGABYTE = 2**20

UNREADABLE: dict[str, bytes] = {
    "no JSON": b"name=value",
    "cut short": b'{"name": "a',
    "two values": b"{} {}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "NaN": b'{"name": NaN}',
    "infinity": b'{"name": -Infinity}',
    "number beyond all": b'{"name": 1e999999}',
    "NUL": b'{"name": "a\\u0000b"}',
    "raw NUL": b'{"name": "a\x00b"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "lone surrogate as a key": b'{"\\udfff": 1}',
    "deep arrays": b'{"name": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "comment": b'{"name": "a"} // a comment',
    "single quotes": b"{'name': 'a'}",
    "array": b"[]",
    "array of bodies": b'[{"name": "a"}]',
    "string": b'"name"',
    "number": b"1",
    "true": b"true",
}
"""Bodies that are no JSON object, or no JSON at all."""

VALUES: dict[str, tuple[str, ...]] = {
    "null": ("null",),
    "boolean": ("true",),
    "integer": ("0", "-1", "9" * 25, "1" + "0" * 400, "-" + "9" * 18),
    "number": ("1e400", "1e-400", "-0.0", "1e308"),
    "string": (
        '""',
        '" "',
        '"nothing-here"',
        f'"{"a" * MEGABYTE}"',
        '"\\u202e\\u001b[31m\\n\\u0007"',
        '"%s%(a)s{a}{}\\\\"',
        '"0001-01-01T00:00:00+23:59"',
        '"9999-12-31T23:59:59-23:59"',
    ),
    "array": ("[]", "[null]", "[[]]", '[""]', "[" * 1_000 + "]" * 1_000, f"[{'1,' * 9_999}1]"),
    "object": (
        "{}",
        '{"": null}',
        '{"a": {"b": {"c": [{}]}}}',
        '{"a":' * 1_000 + "1" + "}" * 1_000,
        '{"$ref": "#"}',
        '{"$secret": ["nothing"]}',
    ),
}
"""What is put into fields, as JSON text, by type."""


@pytest.fixture(scope="module")
def world(new_world: NewWorld) -> Iterator[World]:
    """A world of this module's own: some of the bodies are accepted."""
    with new_world() as world:
        yield world


def send(world: World, operation: Operation, content: bytes, **headers: str) -> Answer:
    """Send a body as someone who may do all, to an object that exists."""
    person = None if operation.is_public else PERSON
    path = world.path(operation, PERSON)
    answer = world.perform(operation, person, path=path, content=content, headers=headers)
    assert answer.status < 500 or str(answer.status) in operation.responses, answer
    assert answer.raised is None
    assert answer.status != 401 or operation.is_public
    return answer


def kinds_of(schema: dict[str, Any]) -> set[str]:
    """Return the types of JSON that a field takes."""
    if "anyOf" in schema:
        return set[str]().union(*map(kinds_of, schema["anyOf"]))
    if "$ref" in schema:
        return kinds_of(resolved(schema))
    kind = schema.get("type")
    return {kind} if kind else set(VALUES)


def is_optional(operation: Operation) -> bool:
    return not operation.spec["requestBody"].get("required", False)


@pytest.mark.before_the_database
@pytest.mark.parametrize("operation", each(WITH_BODY))
def test_unreadable_bodies(world: World, operation: Operation) -> None:
    for content in UNREADABLE.values():
        assert_problem(send(world, operation, content), 400, 422)


@pytest.mark.before_the_database
@pytest.mark.parametrize("operation", each(WITH_BODY))
def test_bodies_of_another_type(world: World, operation: Operation) -> None:
    body = json.dumps(operation.smallest_body()).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", ""):
        answer = send(world, operation, body, **{"content-type": kind})
        assert_problem(answer, 400, 415, 422)


@pytest.mark.before_the_database
@pytest.mark.parametrize("operation", each(WITH_BODY))
def test_no_body(world: World, operation: Operation) -> None:
    for content in (b"", b"null"):
        answer = send(world, operation, content)
        if is_optional(operation):
            assert str(answer.status) in operation.responses
        else:
            assert_problem(answer, 422)


@pytest.mark.before_the_database
@pytest.mark.parametrize("operation", each(WITH_BODY))
def test_unknown_fields(world: World, operation: Operation) -> None:
    assert operation.body is not None
    body = operation.smallest_body()
    answer = send(world, operation, json.dumps({**body, "unheard_of": 1}).encode())
    if operation.body.get("additionalProperties") is False:
        problem = assert_problem(answer, 422)
        assert [item["loc"][-1] for item in problem["detail"]] == ["unheard_of"]
    else:
        assert str(answer.status) in operation.responses


def assert_documented(operation: Operation, answer: Answer, what: str) -> None:
    assert str(answer.status) in operation.responses, f"{what[:200]}: {answer}"
    if answer.status >= 400:
        assert_problem(answer, answer.status)


def with_text(body: dict[str, Any], values: dict[str, str]) -> bytes:
    """Return a body as JSON, with fields whose values are JSON text already."""
    fields = {name: json.dumps(value) for name, value in body.items()} | values
    return (
        "{" + ", ".join(f"{json.dumps(n)}: {text}" for n, text in fields.items()) + "}"
    ).encode()


@pytest.mark.parametrize("operation", each(HANDLERS))
def test_one_value_in_all_fields(world: World, operation: Operation) -> None:
    assert operation.body is not None
    for text in chain.from_iterable(VALUES.values()):
        values = dict.fromkeys(operation.body.get("properties", {}), text)
        answer = send(world, operation, with_text(operation.smallest_body(), values))
        assert_documented(operation, answer, text)


@pytest.mark.parametrize("operation", each(HANDLERS))
def test_values_in_each_field(world: World, operation: Operation) -> None:
    """Values of the right type, which come past the validation of types."""
    assert operation.body is not None
    for name, schema in operation.body.get("properties", {}).items():
        for kind in kinds_of(schema):
            for text in VALUES[kind]:
                body = with_text(operation.smallest_body(), {name: text})
                assert_documented(operation, send(world, operation, body), f"{name} is {text}")
