"""Rules that hold a step against who the agent is."""

from datetime import UTC, datetime
from typing import Any

import pytest

from muster.domains.control.policies.engine.paths import is_within
from tests.control.rules_setting import context, step, violated

SCHEMAS = pytest.mark.parametrize("schema", ["2", "3"])


@SCHEMAS
@pytest.mark.parametrize(
    ("changes", "risk_class", "intended", "expected"),
    [
        ({}, "high", "exec", True),
        ({}, "unacceptable", "exec", True),
        ({}, "limited", "exec", False),
        ({}, None, "exec", False),
        ({}, "high", "model", False),
        ({"forbidden_step_type": "step.resource"}, "high", "resource:GET", True),
        ({"forbidden_step_type": "step.resource", "forbidden_verb": "DELETE"}, "high",
         "resource:DELETE", True),
        ({"forbidden_step_type": "step.resource", "forbidden_verb": "DELETE"}, "high",
         "resource:GET", False),
        ({"forbidden_property_filter": {"sandbox": False}}, "high", "exec", False),
    ],
)  # fmt: skip
def test_forbidden_for_a_class(
    schema: str, changes: dict[str, Any], risk_class: str | None, intended: str, *, expected: bool
) -> None:
    given = {
        "forbidden_step_type": "step.exec",
        "agent_risk_classifications": ["high", "unacceptable"],
        **changes,
    }
    found = violated(
        "step_forbidden_for_classification",
        given,
        step(intended),
        schema=schema,
        risk_classification=risk_class,
    )
    assert found is expected


def test_forbidden_for_a_class_with_properties() -> None:
    given = {
        "forbidden_step_type": "step.exec",
        "agent_risk_classifications": ["high"],
        "forbidden_property_filter": {"sandbox": False},
    }
    for sandbox, expected in ((False, True), (True, False), (0, False)):
        found = violated(
            "step_forbidden_for_classification",
            given,
            step("exec", properties={"sandbox": sandbox}),
            risk_classification="high",
        )
        assert found is expected


@pytest.mark.parametrize(
    ("start", "end", "hour", "expected"),
    [
        (8, 18, 7, True),
        (8, 18, 8, False),
        (8, 18, 17, False),
        (8, 18, 18, True),
        (22, 6, 21, True),
        (22, 6, 22, False),
        (22, 6, 0, False),
        (22, 6, 5, False),
        (22, 6, 6, True),
        (9, 9, 3, False),
        (0, 24, 23, False),
        (12, 24, 11, True),
        (12, 24, 23, False),
    ],
)
def test_working_hours(start: int, end: int, hour: int, *, expected: bool) -> None:
    given = {"start_hour": start, "end_hour": end}
    now = datetime(2026, 7, 1, hour, 59, tzinfo=UTC)
    assert violated("working_hours_only", given, step("exec"), now=now) is expected
    assert (
        violated("working_hours_only", given, {"name": "x"}, scope="agent_registration", now=now)
        is expected
    )


@pytest.mark.parametrize(
    ("month", "hour", "expected"),
    [(7, 6, False), (7, 5, True), (1, 6, True), (1, 7, False), (7, 15, False), (7, 16, True)],
)
def test_working_hours_elsewhere(month: int, hour: int, *, expected: bool) -> None:
    given = {"start_hour": 8, "end_hour": 18, "timezone": "Europe/Amsterdam"}
    now = datetime(2026, month, 1, hour, tzinfo=UTC)
    assert violated("working_hours_only", given, step("exec"), now=now) is expected


def test_the_clock_is_given() -> None:
    with pytest.raises(ValueError, match="aware"):
        context(now=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


@SCHEMAS
@pytest.mark.parametrize(
    ("kinds", "tools", "intended", "name", "expected"),
    [
        (["step.resource"], ["search"], "resource", "search", False),
        (["step.resource"], ["search"], "resource", "Search", True),
        (["step.resource"], ["search"], "resource", None, True),
        (["step.resource"], [], "resource", "search", True),
        (["step.resource"], None, "resource", "search", True),
        (["step.resource"], None, "exec", "search", False),
        (["step.resource", "step.exec"], None, "exec", "run", True),
        (None, ["search"], "exec", "run", True),
        (None, ["search"], "exec", "search", False),
        (None, None, "start", None, False),
        (["task.start"], ["search"], "start", None, True),
        (None, None, "gate", None, True),
    ],
)
def test_tools(
    schema: str,
    kinds: list[str] | None,
    tools: list[str] | None,
    intended: str,
    name: str | None,
    *,
    expected: bool,
) -> None:
    for source in ("declared_tools", "agent_allowed_tools"):
        given = {"agent_field": source, "target_step_types": kinds}
        found = violated(
            "step_name_in_allowlist",
            given,
            step(intended, name),
            schema=schema,
            declared_tools=tools,
        )
        assert found is expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"tools": ["search"]}, False),
        ({"tools": ["fetch"]}, True),
        ({"tools": "search"}, True),
        ({"tools": [["search"]]}, True),
        ({}, True),
    ],
)
def test_tools_in_metadata(metadata: dict[str, Any], *, expected: bool) -> None:
    given = {"agent_field": "metadata.tools"}
    nameless = {"tools": [None, "search"]}
    assert violated("step_name_in_allowlist", given, step("exec"), metadata=nameless)
    found = violated(
        "step_name_in_allowlist",
        given,
        step("exec", "search"),
        metadata=metadata,
        declared_tools=["search", "fetch"],
    )
    assert found is expected


@SCHEMAS
@pytest.mark.parametrize(
    ("params", "intended", "expected"),
    [
        ({}, step("exec", properties={"target": {"host": "/etc/passwd"}}), True),
        ({}, step("exec", properties={"target": {"host": "/srv/app/x"}}), False),
        ({}, step("exec"), False),
        ({}, step("exec", properties={"target.host": 5}), False),
        ({}, step("exec", properties={"target.host": ""}), False),
        ({"field": "file.path"}, step("exec", properties={"file": {"path": "/etc"}}), True),
        ({"field": "file.path"}, step("exec", properties={"target.host": "/etc"}), False),
        ({"field": "path"}, step("exec", input={"path": "/etc"}), True),
        ({"target_step_types": ["step.self"]}, step("exec", properties={"target.host": "/"}),
         False),
        ({"target_verb": "POST"}, step("resource:POST", properties={"target.host": "/"}), True),
        ({"target_verb": "POST"}, step("resource:GET", properties={"target.host": "/"}), False),
        ({"target_verb": "POST"}, step("exec", properties={"target.host": "/"}), True),
        ({"target_verbs": ["POST", "PATCH"]},
         step("resource:PATCH", properties={"target.host": "/"}), True),
        ({"target_verbs": ["POST", "PATCH"]},
         step("resource:DELETE", properties={"target.host": "/"}), False),
        ({"target_verbs": ["WRITE"]}, step("resource:DELETE", properties={"target.host": "/"}),
         True),
        ({"target_verbs": ["POST"], "target_verb": "GET"},
         step("resource:GET", properties={"target.host": "/"}), True),
    ],
)  # fmt: skip
def test_paths(schema: str, params: dict[str, Any], intended: Any, *, expected: bool) -> None:
    rule = "path_within_root"
    root = "/srv/app"
    assert violated(rule, params, intended, schema=schema, project_root=root) is expected
    assert not violated(rule, params, intended, schema=schema)


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/srv/app", "/srv/app", True),
        ("/srv/app/", "/srv/app/", True),
        ("/srv/app/src/x.py", "/srv/app", True),
        ("/srv/apple", "/srv/app", False),
        ("/srv", "/srv/app", False),
        ("/srv/app/../app/x", "/srv/app", True),
        ("/srv/app/../other", "/srv/app", False),
        ("//srv/app/x", "/srv/app", True),
        ("src/x.py", "/srv/app", True),
        ("./src/../x", "/srv/app", True),
        ("../x", "/srv/app", False),
        ("src/../../x", "/srv/app", False),
        ("..", "/srv/app", False),
        ("/etc", "/", True),
        ("~/app/x", "/home/ann/app", True),
        ("$HOME/app/x", "/home/ann/app", True),
        ("${HOME}/app/x", "/Users/ann/app", True),
        ("~/app/x", "/root/app", True),
        ("~", "/home/ann/app", False),
        ("~/.ssh/id", "/home/ann/app", False),
        ("~/app/../.ssh", "/home/ann/app", False),
        ("~/x", "/srv/app", False),
        ("~bob/app/x", "/home/ann/app", False),
        ("$TMP/x", "/srv/app", False),
        ("~/app/x", "~/app", True),
        ("~/other", "~/app", False),
        ("~/../etc", "~/app", False),
        ("file:///srv/app/x", "/srv/app", True),
        ("file:///etc/passwd", "/srv/app", False),
        ("FILE://localhost/etc/passwd", "/srv/app", False),
        ("file://host/srv/app/x", "/srv/app", False),
        ("file:///srv/app/%2e%2e/x", "/srv/app", False),
        ("https://example.com/x", "/srv/app", True),
        ("x://../../../etc", "/srv/app", False),
        ("a\0b", "/srv/app", False),
        ("C:\\app\\x", "C:\\app", True),
        ("c:/APP/x", "C:\\app", True),
        ("C:\\app\\..\\x", "C:\\app", False),
        ("D:\\app\\x", "C:\\app", False),
        ("sub\\x", "C:\\app", True),
        ("~\\app\\x", "C:\\Users\\ann\\app", True),
        ("%USERPROFILE%\\x", "C:\\Users\\ann\\app", False),
        ("%USERPROFILE%\\app\\x", "C:\\Users\\ann\\app", True),
        ("%TEMP%\\x", "C:\\app", False),
        ("~\\app\\x", "d:\\Users\\ann\\app", True),
        ("~/app/x", "C:/Users/ann/app", True),
        ("~/x", "C:/Users/ann/app", False),
        ("..\\x", "d:\\app", False),
        ("..\\x", "\\\\server\\share\\app", False),
        ("..\\x", "\\app", False),
        ("a\\..\\..\\x", "app", True),
        ("~", "/home/ann", True),
        ("~/x", "/home/ann", True),
        ("~bob/../ann/app/x", "/home/ann/app", False),
        ("~/../rootless/app/x", "/rootless/app", False),
        ("file://localhost/srv/app/x", "/srv/app", True),
        ("file://localhostile/x", "/srv/app", False),
    ],
)
def test_paths_as_text(path: str, root: str, *, expected: bool) -> None:
    assert is_within(path, root) is expected
