"""What is wrong with the JSON Schemas that users give."""

from typing import Any

import pytest

from muster.kernel.json_schema import schema_fault, validator_of

DEFINED: dict[str, Any] = {"$defs": {"item": {"$anchor": "thing"}}}


@pytest.mark.parametrize(
    ("schema", "path", "suggestion"),
    [
        ({"type": "bogus"}, "type", None),
        ({"properties": {"a": {"type": "strng"}}}, "properties.a.type", "string"),
        ({"items": {"type": ["null", "numbr"]}}, "items.type", "number"),
        ({"type": 3}, "type", None),
        ({"type": []}, "type", None),
        ({"properties": []}, "properties", None),
        ({"required": "a"}, "required", None),
        ({"properties": {"a": {"pattern": "("}}}, "properties.a.pattern", None),
        ({"pattern": "a{99999999999999999999}"}, "", None),
        ({"pattern": "(" * 5_000}, "", None),
        ({"$schema": []}, "$schema", None),
        ({"$schema": "http://["}, "$schema", None),
        ({"$id": "http://["}, "$id", None),
        ({"$ref": "https://example.com/x.json"}, "$ref", None),
        ({**DEFINED, "$ref": "#/$defs/itm"}, "$ref", "#/$defs/item"),
        ({"allOf": [{"$ref": "#/allOf/x"}]}, "allOf.0.$ref", None),
        ({"$ref": "#nothing"}, "$ref", None),
    ],
)
def test_what_is_no_schema_is_told_with_its_place(
    schema: dict[str, Any], path: str, suggestion: str | None
) -> None:
    fault = schema_fault(schema)
    assert fault is not None
    assert (fault.path, fault.suggestion) == (path, suggestion)
    assert fault.message in fault.text
    assert fault.text.startswith(path)
    assert ("Did you mean" in fault.advice) == (suggestion is not None)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": ["object", "null"], "properties": {"type": {"type": "string"}}},
        {"properties": {"$ref": {"type": "string"}, "next": {"$ref": "#"}}},
        {**DEFINED, "$ref": "#thing"},
        {"$id": "https://example.com/a", "$ref": "#/elsewhere"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]},
        {"description": "x" * 30_000},
    ],
)
def test_a_sound_schema_has_no_fault(schema: dict[str, Any]) -> None:
    assert schema_fault(schema) is None


def test_a_schema_that_nests_without_end_is_told() -> None:
    schema: dict[str, Any] = {}
    for _ in range(3_000):
        schema = {"properties": {"a": schema}}
    fault = schema_fault(schema)
    assert fault is not None
    assert "too deeply" in fault.message


def test_a_validator_goes_by_the_draft_that_is_named() -> None:
    tuples = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert not validator_of(tuples).is_valid([1])
    assert validator_of(tuples).is_valid(["a", 1])
