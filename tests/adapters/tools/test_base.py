"""Checked arguments and schemas."""

from typing import Any

import pytest

from muster.adapters.tools.base import (
    ToolConfigurationInvalid,
    ToolInputInvalid,
    shorten,
    validate_arguments,
    validate_schema,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "size": {"enum": ["s", "m"], "default": "m"},
        "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "uniqueItems": True},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "none": {"not": {}},
        "options": {
            "type": "object",
            "properties": {"deep": {"type": "boolean", "default": False}},
        },
        "rows": {
            "type": "array",
            "items": {"type": "object", "properties": {"kind": {"default": "x"}}},
        },
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "pattern": "^[a-z]+$"}},
}


def test_defaults_are_filled_at_every_depth_without_touching_the_input() -> None:
    given: dict[str, Any] = {"name": "ok", "options": {}, "rows": [{}, {"kind": "y"}]}
    filled = validate_arguments(SCHEMA, given)
    assert filled == {
        "name": "ok",
        "size": "m",
        "options": {"deep": False},
        "rows": [{"kind": "x"}, {"kind": "y"}],
    }
    assert given == {"name": "ok", "options": {}, "rows": [{}, {"kind": "y"}]}


@pytest.mark.parametrize(
    ("arguments", "field", "message"),
    [
        ({}, "arguments", "is missing 'name'"),
        ({"name": 5}, "name", "must be of type string"),
        ({"name": "x"}, "name", "must have at least 2 characters"),
        ({"name": "ok", "size": "xl"}, "size", 'must be one of ["s", "m"]'),
        ({"name": "ok", "count": 0}, "count", "must be at least 1"),
        ({"name": "ok", "count": "1"}, "count", "must be of type integer or null"),
        ({"name": "ok", "tags": ["a", "B"]}, "tags[1]", 'must match the pattern "^[a-z]+$"'),
        ({"name": "ok", "tags": ["a", "a"]}, "tags", "must not repeat an item"),
        ({"name": "ok", "colour": 1}, "arguments", "has unknown fields: 'colour'"),
        ({"name": "ok", "options": {"deep": 1}}, "options.deep", "must be of type boolean"),
        ({"name": "ok", "either": []}, "either", "fits none, or more than one, of the allowed"),
        ({"name": "ok", "none": 1}, "none", "breaks the rule 'not' of the schema"),
    ],
)
def test_faults_are_told_by_path(arguments: object, field: str, message: str) -> None:
    with pytest.raises(ToolInputInvalid) as caught:
        validate_arguments(SCHEMA, arguments)
    assert any(
        error.field == field and error.message.startswith(message) for error in caught.value.errors
    ), caught.value.errors


def test_only_so_many_faults_are_told() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    with pytest.raises(ToolInputInvalid) as caught:
        validate_arguments(schema, {f"f{number}": number for number in range(100)})
    assert len(caught.value.errors) == 20


def test_arguments_must_be_an_object() -> None:
    with pytest.raises(ToolInputInvalid, match="JSON object"):
        validate_arguments(SCHEMA, ["name"])


def test_a_dangling_reference_is_a_fault_of_the_configuration() -> None:
    for target in ("#/$defs/none", "http://127.0.0.1:1/schema.json"):
        schema = {"type": "object", "properties": {"a": {"$ref": target}}}
        with pytest.raises(ToolConfigurationInvalid, match="leads nowhere"):
            validate_arguments(schema, {"a": 1})


def test_arguments_that_nest_without_end_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(3_000):
        deep = {"next": deep}
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    with pytest.raises(ToolInputInvalid, match="too deeply"):
        validate_arguments(schema, deep)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("text", "must be a JSON object"),
        ({"type": "string"}, 'must have "type": "object"'),
        ({"properties": {"a": {"type": "texty"}}}, "properties.a.type: There is no type"),
        ({"properties": 5}, "breaks the rule 'type'"),
        ({"allOf": [{"$ref": "https://example.com/x.json"}]}, "only references inside it"),
    ],
)
def test_faulty_schemas_are_refused(schema: object, message: str) -> None:
    with pytest.raises(ToolConfigurationInvalid, match=message):
        validate_schema(schema)


def test_a_schema_that_nests_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(3_000):
        schema = {"properties": {"a": schema}}
    with pytest.raises(ToolConfigurationInvalid, match="too deeply"):
        validate_schema(schema)


def test_a_sound_schema_is_returned() -> None:
    assert validate_schema(SCHEMA) is SCHEMA


def test_shorten_says_what_it_cut() -> None:
    assert shorten("abc", 3) == ("abc", False)
    assert shorten("abcd", 3) == ("abc\n[truncated: 1 of 4 characters]", True)
