"""Rules about the whole course of a task."""

from typing import Any

import pytest

from muster.domains.control.policies.engine import NormalStep, PolicyInvalid
from tests.control.rules_setting import gate, judged, policy, step, violated

SCHEMAS = pytest.mark.parametrize("schema", ["2", "3"])
LEAK = {"forbidden_sequence": ["step.credential", "step.model", "step.message"]}


@SCHEMAS
@pytest.mark.parametrize(
    ("history", "intended", "expected"),
    [
        ("", "message", False),
        ("credential model", "message", True),
        ("credential model", "model", False),
        ("credential model", "exec", False),
        ("credential", "message", False),
        ("model credential", "message", False),
        ("credential exec gate model exec", "message", True),
        ("credential credential model model", "message", True),
        ("credential!blocked model", "message", False),
        ("credential model!blocked", "message", False),
        ("credential!failed model", "message", True),
        ("credential model message!blocked", "exec", False),
        ("credential model message!blocked", "gate", False),
        ("credential model message!blocked", "end", False),
        ("credential model message!blocked", "message", True),
        ("credential model message", "exec", True),
        ("credential model message", "gate", False),
        ("credential model message", "end", False),
        ("credential model message", "idle", True),
    ],
)
def test_sequence(schema: str, history: str, intended: str, *, expected: bool) -> None:
    assert violated("sequence_forbidden", LEAK, step(intended), history, schema=schema) is expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("credential model message", True),
        ("credential model message exec", True),
        ("credential model", False),
        ("credential model message!blocked", False),
        ("", False),
    ],
)
def test_sequence_of_a_whole_task(history: str, *, expected: bool) -> None:
    found = violated("sequence_forbidden", LEAK, step("end"), history, scope="task_execution")
    assert found is expected


def test_sequence_of_one_and_of_the_same() -> None:
    one = {"forbidden_sequence": ["step.exec"]}
    assert violated("sequence_forbidden", one, step("exec"))
    assert not violated("sequence_forbidden", one, step("model"))
    twice = {"forbidden_sequence": ["step.exec", "step.exec"]}
    assert not violated("sequence_forbidden", twice, step("exec"))
    assert violated("sequence_forbidden", twice, step("exec"), "exec model")


@pytest.mark.parametrize("kind", ["step.gate", "task.end"])
def test_what_is_never_refused_cannot_be_forbidden(kind: str) -> None:
    params = {"forbidden_sequence": ["step.exec", kind]}
    with pytest.raises(PolicyInvalid, match="forbidden_sequence: cannot end with"):
        policy("sequence_forbidden", params)
    assert violated(
        "sequence_forbidden", params, step("end"), "exec gate end", scope="task_execution"
    )
    run = {"step_type": kind, "max_consecutive": 1}
    with pytest.raises(PolicyInvalid, match="step_type: cannot be"):
        policy("max_consecutive_same_type", run)
    assert policy("max_consecutive_same_type", run, scope="task_execution")


PII = step("resource", properties={"data": {"classification": "pii"}}, output={"rows": {"n": 1}})


@pytest.mark.parametrize(
    ("params", "history", "expected"),
    [
        ({}, [], True),
        ({}, [PII], False),
        ({}, [PII, step("model")], False),
        ({}, [step("model")], True),
        ({"verb": "GET"}, [PII], False),
        ({"verb": "POST"}, [PII], True),
        ({"verb": "WRITE"}, [step("resource:DELETE")], False),
        ({"property_filter": {"data.classification": "pii"}}, [PII], False),
        ({"property_filter": {"data.classification": "secret"}}, [PII], True),
        ({"property_filter": {"data.classification": "pii", "x": 1}}, [PII], True),
        ({"property_filter": {"data": {"classification": "pii"}}}, [PII], False),
        ({}, [step("resource!blocked")], False),
    ],
)
def test_history_contains(
    params: dict[str, Any], history: list[NormalStep], *, expected: bool
) -> None:
    given = {"step_type": "step.resource", **params}
    assert violated("history_contains", given, step("end"), history) is expected
    whole = violated("history_contains", given, step("end"), history, scope="task_execution")
    assert whole is expected


@pytest.mark.parametrize(
    ("attempts", "output", "history", "expected"),
    [
        (True, None, [step("resource!blocked")], False),
        (True, None, [step("resource!failed")], False),
        (False, None, [step("resource!blocked")], True),
        (False, None, [step("resource!failed")], True),
        (False, None, [step("resource")], False),
        (False, {"rows.n": 1}, [PII], False),
        (False, {"rows.n": 2}, [PII], True),
        (False, {"rows.n": True}, [PII], True),
        (True, {"rows.n": 1}, [step("resource")], True),
    ],
)
def test_history_contains_of_the_third_generation(
    output: dict[str, Any] | None, history: list[NormalStep], *, attempts: bool, expected: bool
) -> None:
    given = {"kind": "step.resource", "count_attempts": attempts, "output_filter": output}
    assert violated("history_contains", given, step("end"), history, schema="3") is expected


@pytest.mark.parametrize(
    ("params", "intended", "expected"),
    [
        ({}, step("resource"), False),
        ({}, step("exec"), True),
        ({"verb": "POST"}, step("resource:POST"), False),
        ({"verb": "POST"}, step("resource:PATCH"), True),
        ({"verb": "WRITE"}, step("resource:PATCH"), False),
        ({"verb": "WRITE"}, step("resource:GET"), True),
        ({"property_filter": {"data.classification": "pii"}}, PII, False),
        ({"property_filter": {"data.classification": "pii"}}, step("resource"), True),
        ({"property_filter": {}}, step("resource"), False),
    ],
)
@SCHEMAS
def test_current_is(
    schema: str, params: dict[str, Any], intended: NormalStep, *, expected: bool
) -> None:
    given = {"step_type": "step.resource", **params}
    assert violated("current_is", given, intended, [PII], schema=schema) is expected


TAINT = {
    "taint_step_type": "step.resource",
    "taint_verb": "GET",
    "taint_property_filter": {"data.classification": "pii"},
    "target_step_types": ["step.message", "step.resource"],
    "target_verb": "POST",
}


@SCHEMAS
@pytest.mark.parametrize(
    ("changes", "history", "intended", "expected"),
    [
        ({}, [], "message:POST", False),
        ({}, [PII], "message:POST", True),
        ({}, [PII], "resource:POST", True),
        ({}, [PII], "resource:PATCH", False),
        ({}, [PII], "message:GET", False),
        ({}, [PII], "exec", False),
        ({}, [PII, gate("pass", "human_approval"), step("model")], "message:POST", True),
        ({}, [step("resource")], "message:POST", False),
        ({}, [step("resource:POST", properties=PII.properties)], "message:POST", False),
        ({}, [step("self", properties=PII.properties)], "message:POST", False),
        ({"taint_verb": None}, [step("resource:POST", properties=PII.properties)], "message:POST",
         True),
        ({"taint_property_filter": None}, [step("resource")], "message:POST", True),
        ({"target_verb": "WRITE"}, [PII], "resource:PATCH", True),
        ({"target_verb": "WRITE"}, [PII], "resource:DELETE", True),
        ({"target_verb": "WRITE"}, [PII], "resource:GET", False),
        ({"target_verb": "write"}, [PII], "resource:POST", True),
        ({"target_verb": None}, [PII], "resource:GET", True),
    ],
)  # fmt: skip
def test_taint(
    schema: str,
    changes: dict[str, Any],
    history: list[NormalStep],
    intended: str,
    *,
    expected: bool,
) -> None:
    given = {**TAINT, **changes}
    assert violated("tainted_path_block", given, step(intended), history, schema=schema) is expected


def scored(text: str, **fields: Any) -> NormalStep:
    return step(text, properties={"score": fields})


def trigger(op: str, value: Any, path: str = "score.v") -> dict[str, Any]:
    return {"field": path, "op": op, "value": value}


@SCHEMAS
@pytest.mark.parametrize(
    ("condition", "before", "expected"),
    [
        (trigger("below", 5), scored("model", v=4.9), True),
        (trigger("below", 5), scored("model", v=5), False),
        (trigger("below", 5), scored("model", v="4"), False),
        (trigger("below", 5), scored("model"), False),
        (trigger("below", 5), scored("model", v=True), False),
        (trigger("above", 5), scored("model", v=5.1), True),
        (trigger("above", 5), scored("model", v=5), False),
        (trigger("above", 5), scored("model", v=None), False),
        (trigger("equals", "no"), scored("model", v="no"), True),
        (trigger("equals", "no"), scored("model", v="nope"), False),
        (trigger("equals", 1), scored("model", v=True), False),
        (trigger("equals", "no"), scored("model"), False),
        (trigger("contains", "err"), scored("model", v="an error"), True),
        (trigger("contains", "err"), scored("model", v="all fine"), False),
        (trigger("contains", "err"), scored("model", v=["err", 2]), True),
        (trigger("contains", 2), scored("model", v=["err", 2]), True),
        (trigger("contains", 2), scored("model", v="12"), False),
        (trigger("contains", "e"), scored("model", v=["err"]), False),
        (trigger("contains", "e"), scored("model", v=7), False),
        (trigger("below", 5), scored("exec", v=1), False),
        (trigger("below", 5), scored("model!failed", v=1), True),
        (trigger("equals", "x", "output.code"), step("model", output={"code": "x"}), True),
        (trigger("equals", "x", "meta.code"), step("model", meta={"code": "x"}), True),
        (trigger("equals", "call", "step_name"), step("model", "call"), True),
    ],
)
def test_conditional_successor(
    schema: str, condition: dict[str, Any], before: NormalStep, *, expected: bool
) -> None:
    given = {
        "trigger_step_types": ["step.model", "step.self"],
        "trigger_condition": condition,
        "required_step_type": "step.gate",
    }
    rule = "conditional_successor_required"
    assert violated(rule, given, step("exec"), [before], schema=schema) is expected
    assert not violated(rule, given, step("gate"), [before], schema=schema)
    assert not violated(rule, given, step("exec"), [before, step("message")], schema=schema)
    refused = [before, step("message!blocked")]
    assert violated(rule, given, step("exec"), refused, schema=schema) is expected
    assert not violated(rule, given, step("exec"), [], schema=schema)


@pytest.mark.parametrize(
    ("params", "intended", "expected"),
    [
        ({"forbidden_step_types": ["step.exec", "step.message"]}, "exec", True),
        ({"forbidden_step_types": ["step.exec", "step.message"]}, "message", True),
        ({"forbidden_step_types": ["step.exec", "step.message"]}, "resource", False),
        ({"required_step_type": "step.gate", "forbidden_step_types": ["step.exec"]}, "gate", False),
        ({"required_step_type": "step.gate", "forbidden_step_types": ["step.exec"]}, "self", True),
        ({"required_step_type": "step.gate", "forbidden_step_types": ["step.gate"]}, "gate", True),
    ],
)
def test_forbidden_successor(params: dict[str, Any], intended: str, *, expected: bool) -> None:
    given = {
        "trigger_step_types": ["step.model"],
        "trigger_condition": trigger("below", 5),
        **params,
    }
    result = judged(
        policy("conditional_successor_required", given), step(intended), [scored("model", v=1)]
    )
    assert result.violated is expected
    if expected:
        assert result.violation_details is not None
        wanted = "must come after" if intended == "self" else "may not come after"
        assert wanted in result.violation_details["message"]
