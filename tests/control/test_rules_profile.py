"""Rules about one field."""

from typing import Any

import pytest

from tests.control.rules_setting import step, violated

BOTH = pytest.mark.parametrize("schema", ["2", "3"])
MATRIX = [
    ("x", False, False),
    (0, False, False),
    (False, False, False),
    ("", True, True),
    (None, True, True),
    ("  \n", False, True),
    ([], False, True),
    ({}, False, True),
    ([None], False, False),
    ({"a": 1}, False, False),
]


@pytest.mark.parametrize(("value", "second", "third"), MATRIX)
def test_not_empty(value: Any, *, second: bool, third: bool) -> None:
    rule, given = "field_not_empty", {"field": "purpose"}
    for schema, expected in (("2", second), ("3", third)):
        profile = {"name": "x", "purpose": value}
        found = violated(rule, given, profile, schema=schema, scope="agent_registration")
        assert found is expected
        inside = step("exec", properties={"ticket": {"id": value}})
        assert violated(rule, {"field": "ticket.id"}, inside, schema=schema) is expected
    assert violated(rule, given, {"name": "x"}, scope="agent_registration")


@BOTH
@pytest.mark.parametrize(
    ("profile", "path", "expected"),
    [
        ({"team.name": "a"}, "team.name", False),
        ({"properties": {"team": {"name": "a"}}}, "team.name", False),
        ({"properties": {"team.name": "a"}}, "team.name", False),
        ({"team": {"name": "a"}}, "team.name", False),
        ({"properties": {"team": "a"}}, "team.name", True),
        ({"properties": {"team": "a"}}, "team", True),
        ({"metadata": {"x": {"y": "a"}}}, "metadata.x.y", False),
        ({"team.name": "b", "properties": {"team": {"name": "a"}}}, "team.name", True),
        ({"properties": {"team": {"name": "b"}}, "team": {"name": "a"}}, "team.name", True),
    ],
)
def test_places_of_a_profile(
    schema: str, profile: dict[str, Any], path: str, *, expected: bool
) -> None:
    given = {"field": path, "values": ["a"]}
    found = violated("field_in_list", given, profile, schema=schema, scope="agent_registration")
    assert found is expected


@BOTH
@pytest.mark.parametrize(
    ("fields", "path", "expected"),
    [
        ({"properties": {"x": {"y": "a"}}}, "x.y", False),
        ({"properties": {"x.y": "a"}}, "x.y", False),
        ({"properties": {"x": "a"}}, "x", True),
        ({"input": {"x": "a"}}, "x", False),
        ({"input": {"x.y": "a"}}, "x.y", False),
        ({"input": {"x": {"y": "a"}}}, "x.y", True),
        ({"input": {"x": {"y": "a"}}}, "input.x.y", False),
        ({"output": {"x": "a"}}, "output.x", False),
        ({"meta": {"x": "a"}}, "meta.x", False),
        ({"properties": {"x": {"y": "b"}}, "input": {"x.y": "a"}}, "x.y", True),
        ({"input": "a"}, "x", True),
        ({"step_name": "a"}, "step_name", False),
        ({"step_name": "a"}, "name", False),
        ({"step_name": "b", "input": {"step_name": "a"}}, "step_name", True),
        ({"input": {"step_type": "a", "verb": "a"}}, "step_type", True),
        ({"input": {"step_type": "a", "verb": "a"}}, "verb", True),
        ({"properties": {"input": {"x": "a"}}, "input": {"x": "b"}}, "input.x", False),
        ({"properties": {"input": {"x": "b"}}, "input": {"x": "a"}}, "input.x", True),
    ],
)
def test_places_of_a_step(
    schema: str, fields: dict[str, Any], path: str, *, expected: bool
) -> None:
    given = {"field": path, "values": ["a"]}
    assert violated("field_in_list", given, step("exec", **fields), schema=schema) is expected


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kind", "step.self"),
        ("step_type", "step.self"),
        ("verb", "PATCH"),
        ("scope", "step"),
        ("name", "save"),
        ("step_name", "save"),
        ("properties", {"a": 1}),
        ("output", "done"),
        ("meta", {"b": 2}),
        ("status", "late"),
        ("agent_id", "agent-7"),
        ("task_id", "task-7"),
    ],
)
def test_a_step_s_own_fields(path: str, value: Any) -> None:
    given = {"field": path, "values": [value]}
    fields = {"properties": {"a": 1}, "output": "done", "meta": {"b": 2}, "status": "late",
              "agent_id": "agent-7", "task_id": "task-7"}  # fmt: skip
    intended = step("self:PATCH", "save", input={path: "other"}, **fields)
    assert not violated("field_in_list", given, intended)
    assert violated("field_in_list", {**given, "values": ["other"]}, intended)
    whole = {"field": "input", "values": [{path: "other"}]}
    assert not violated("field_in_list", whole, intended)
    moment = {"field": "scope", "values": ["task"]}
    assert not violated("field_in_list", moment, step("start"))


@BOTH
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("high", False),
        ("High", True),
        ("", True),
        (1, False),
        (1.0, False),
        (True, True),
        (None, True),
        ([1], False),
        ("1", True),
    ],
)
def test_in_list(schema: str, value: Any, *, expected: bool) -> None:
    given = {"field": "risk", "values": ["high", 1, [1]]}
    found = violated(
        "field_in_list", given, {"risk": value}, schema=schema, scope="agent_registration"
    )
    assert found is expected


def test_a_missing_field_is_null() -> None:
    given = {"field": "risk", "values": [None]}
    assert not violated("field_in_list", given, {}, scope="agent_registration")
    given = {"field": "risk", "values": ["high"]}
    assert violated("field_in_list", given, {}, scope="agent_registration")


@pytest.mark.parametrize(
    ("pattern", "value", "second", "third"),
    [
        ("git push", "git push origin", False, False),
        ("git push", "cd x; git push", True, False),
        (".*git push", "cd x\ngit push", False, False),
        ("a.b", "a\nb", False, True),
        ("^$", "", False, False),
        ("^$", None, False, False),
        ("^$", 0, False, False),
        ("^$", False, False, False),
        ("^$", [], False, False),
        ("x", None, True, True),
        ("12", 12, False, False),
        ("True", True, False, False),
        ("ab$", "ab\n", False, True),
        (r"\d", "٣", False, True),
        ("^.{3,}$", "ab", True, True),
        ("^.{3,}$", "abc", False, False),
    ],
)
def test_patterns(pattern: str, value: Any, *, second: bool, third: bool) -> None:
    given = {"field": "exec.command", "pattern": pattern}
    for schema, expected in (("2", second), ("3", third)):
        intended = step("exec", properties={"exec": {"command": value}})
        assert violated("field_matches_regex", given, intended, schema=schema) is expected
    for schema in ("2", "3"):
        anything = {**given, "pattern": "."}
        assert violated("field_matches_regex", anything, step("exec"), schema=schema)


def test_what_is_too_long_is_a_violation_either_way() -> None:
    given = {"field": "exec.command", "pattern": "rm"}
    padded = step("exec", properties={"exec": {"command": "rm" + " " * 100_000}})
    assert violated("field_matches_regex", given, padded)
    condition = {"rule_type": "field_matches_regex", "params": given}
    assert violated("not", {"condition": condition}, padded)
    assert violated("any_of", {"conditions": [condition]}, padded)
