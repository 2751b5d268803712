"""Rules that count."""

from typing import Any

import pytest

from muster.domains.control.policies.engine import NormalStep, PolicySet
from tests.control.rules_setting import judged, policy, step, trace, violated

SCHEMAS = pytest.mark.parametrize("schema", ["2", "3"])


@SCHEMAS
@pytest.mark.parametrize(
    ("changes", "history", "intended", "expected"),
    [
        ({}, "", "resource", False),
        ({}, "resource", "resource", False),
        ({}, "resource resource", "resource", True),
        ({}, "resource model resource", "resource", True),
        ({}, "resource resource resource", "model", False),
        ({}, "model model model", "resource", False),
        ({}, "resource!blocked resource!failed", "resource", True),
        ({"max_steps": 0}, "", "resource", True),
        ({"max_steps": 1}, "", "resource", False),
        ({"verb": "POST"}, "resource:POST resource:POST", "resource:POST", True),
        ({"verb": "POST"}, "resource:POST resource:GET", "resource:POST", False),
        ({"verb": "POST"}, "resource:POST resource:POST", "resource:GET", False),
        ({"verb": "WRITE"}, "resource:POST resource:PATCH", "resource:DELETE", True),
        ({"verb": "WRITE"}, "resource:POST resource:GET", "resource:DELETE", False),
    ],
)
def test_most_steps(
    schema: str, changes: dict[str, Any], history: str, intended: str, *, expected: bool
) -> None:
    given = {"step_type": "step.resource", "max_steps": 2, **changes}
    found = violated("execution_max_steps", given, step(intended), history, schema=schema)
    assert found is expected


def test_most_steps_of_a_name() -> None:
    given = {"step_type": "step.resource", "max_steps": 1, "step_name": "search"}
    searched = [step("resource", "search"), step("resource", "fetch")]
    assert violated("execution_max_steps", given, step("resource", "search"), searched)
    assert not violated("execution_max_steps", given, step("resource", "fetch"), searched)
    assert not violated("execution_max_steps", given, step("resource", "search"), searched[1:])
    anything = {"step_type": "step.resource", "max_steps": 1}
    assert violated("execution_max_steps", anything, step("resource", "fetch"), searched[:1])


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("resource resource", False),
        ("resource resource resource", True),
        ("resource resource model", False),
    ],
)
def test_most_steps_of_a_whole_task(history: str, *, expected: bool) -> None:
    given = {"step_type": "step.resource", "max_steps": 2}
    found = violated("execution_max_steps", given, step("end"), history, scope="task_execution")
    assert found is expected


@SCHEMAS
@pytest.mark.parametrize(
    ("history", "intended", "expected"),
    [
        ("", "exec", False),
        ("exec", "exec", False),
        ("exec exec", "exec", True),
        ("exec model exec", "exec", False),
        ("exec exec model", "exec", False),
        ("model exec exec", "exec", True),
        ("exec exec", "model", False),
        ("model model model", "exec", False),
        ("model model", "model", False),
        ("exec exec!blocked exec!blocked", "exec", False),
        ("exec model!blocked exec", "exec", True),
        ("exec!failed exec!failed", "exec", True),
        ("exec exec exec!blocked", "model", False),
        ("exec exec exec model", "model", True),
        ("exec exec exec", "gate", False),
        ("exec exec exec", "end", False),
        ("exec exec exec", "idle", True),
        ("exec exec exec model exec", "exec", True),
    ],
)
def test_runs(schema: str, history: str, intended: str, *, expected: bool) -> None:
    given = {"step_type": "step.exec", "max_consecutive": 2}
    found = violated("max_consecutive_same_type", given, step(intended), history, schema=schema)
    assert found is expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [("exec exec", False), ("exec exec exec model", True), ("exec exec model exec", False)],
)
def test_runs_of_a_whole_task(history: str, *, expected: bool) -> None:
    single = {"step_type": "step.exec", "max_consecutive": 1}
    assert not violated("max_consecutive_same_type", single, step("exec"), "model")
    assert violated("max_consecutive_same_type", single, step("exec"), "exec")
    given = {"step_type": "step.exec", "max_consecutive": 2}
    found = violated(
        "max_consecutive_same_type", given, step("end"), history, scope="task_execution"
    )
    assert found is expected


RATE = {"step_type": "step.message", "max_count": 3, "window_minutes": 10}


@pytest.mark.parametrize(
    ("counts", "intended", "expected"),
    [
        ({"step.message/10m": 2}, "message", False),
        ({"step.message/10m": 3}, "message", True),
        ({"step.message": 2}, "message", False),
        ({"step.message": 3}, "message", True),
        ({"step.message/10m": 0, "step.message": 9}, "message", False),
        ({"step.message/10m": 9}, "exec", False),
        ({}, "message", False),
        (None, "message", True),
        (None, "exec", False),
    ],
)
def test_rates(counts: dict[str, int] | None, intended: str, *, expected: bool) -> None:
    found = violated(
        "cross_execution_rate_limit", RATE, step(intended), cross_execution_counts=counts
    )
    assert found is expected


def test_nothing_counted_is_none() -> None:
    for most, expected in ((0, True), (1, False)):
        found = violated(
            "cross_execution_rate_limit",
            {**RATE, "max_count": most, "window_minutes": 1},
            step("message"),
            cross_execution_counts={},
        )
        assert found is expected


def test_rates_of_some_steps() -> None:
    external = {"target.trust": "external"}
    limited = policy("cross_execution_rate_limit", {**RATE, "property_filter": external})
    nested = policy(
        "not", {"condition": {"rule_type": "cross_execution_rate_limit", "params": RATE}}
    )
    queries = PolicySet([limited, nested]).rate_queries
    first, second = queries
    assert (first.kind, first.window_minutes, first.property_filter) == (
        "step.message",
        10,
        external,
    )
    assert (second.key, second.property_filter) == ("step.message/10m", {})
    assert first.key != second.key
    counts = {first.key: 3}
    outside = step("message", properties={"target": {"trust": "external"}})
    assert judged(limited, outside, cross_execution_counts=counts).violated
    assert not judged(limited, step("message"), cross_execution_counts=counts).violated


def used(text: str, tokens: Any) -> NormalStep:
    return step(text, properties={"usage": {"tokens": tokens}})


BUDGET = {"step_type": "step.model", "property_path": "usage.tokens", "budget": 100}


@pytest.mark.parametrize(
    ("history", "intended", "expected"),
    [
        ([], step("model"), False),
        ([used("model", 100)], step("model"), False),
        ([used("model", 100.5)], step("model"), True),
        ([used("model", 60), used("model", 41)], step("model"), True),
        ([used("model", 101)], step("exec"), True),
        ([used("model", 101)], step("gate"), False),
        ([used("model", 101)], step("end"), False),
        ([used("model", 101)], step("error"), False),
        ([used("model", 100)], used("model", 50), False),
        ([used("exec", 500)], step("model"), False),
        ([used("model", 90), used("model", "50")], step("model"), False),
        ([used("model", 90), used("model", True), used("model", True)], step("model"), False),
        ([used("model", 120), used("model", -50)], step("model"), True),
        ([used("model", 100.5), used("model", -0.5)], step("model"), True),
        ([used("model", 100), used("model", "50")], step("model"), False),
        ([used("model", 90), used("model", float("inf"))], step("model"), False),
        ([used("model", 90), used("model", 10**400)], step("model"), False),
        ([used("model!failed", 101)], step("model"), True),
    ],
)
def test_budget_of_the_second_generation(
    history: list[NormalStep], intended: NormalStep, *, expected: bool
) -> None:
    assert violated("usage_budget", BUDGET, intended, history) is expected


@pytest.mark.parametrize(
    ("history", "intended", "expected"),
    [
        ([used("model", 101)], step("model"), True),
        ([used("model", 101)], step("exec"), False),
        ([used("model", 101)], used("exec", 5), False),
        ([used("model", 60)], used("model", 40), False),
        ([used("model", 60)], used("model", 41), True),
        ([], used("model", 101), True),
        ([], used("model", -1), False),
        ([used("exec", 101)], used("model", 100), False),
    ],
)
def test_budget_of_the_third_generation(
    history: list[NormalStep], intended: NormalStep, *, expected: bool
) -> None:
    assert violated("usage_budget", BUDGET, intended, history, schema="3") is expected


def test_budget_of_what_gates_use() -> None:
    gates = {**BUDGET, "step_type": "step.gate"}
    assert violated("usage_budget", gates, step("gate"), [used("gate", 101)], schema="3")
    assert not violated("usage_budget", gates, step("gate"), [used("gate", 101)])


@SCHEMAS
def test_budget_of_a_whole_task(schema: str) -> None:
    for tokens, expected in ((100, False), (101, True)):
        found = violated(
            "usage_budget",
            BUDGET,
            used("end", 50),
            [used("model", tokens), *trace("exec")],
            schema=schema,
            scope="task_execution",
        )
        assert found is expected
