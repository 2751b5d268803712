"""Rules about what must have happened before a step."""

from typing import Any

import pytest

from muster.domains.control.policies.engine import NormalStep
from tests.control.rules_setting import gate, step, trace, violated

RESOURCE = {"target_step_types": ["step.resource"]}
POST = {**RESOURCE, "target_verb": "POST"}
EXTERNAL = {**RESOURCE, "target_property_filter": {"target.trust": "external"}}
GATED = {"required_step_type": "step.gate"}


@pytest.mark.parametrize(
    ("schema", "history", "intended", "expected"),
    [
        ("2", "", "exec", True),
        ("2", "gate", "exec", False),
        ("2", "gate model", "exec", True),
        ("2", "model gate", "exec", False),
        ("2", "gate model!blocked", "exec", True),
        ("2", "gate!blocked", "exec", False),
        ("3", "gate model!blocked", "exec", False),
        ("3", "gate model!failed", "exec", False),
        ("3", "gate model", "exec", True),
        ("3", "gate!blocked", "exec", True),
        ("3", "gate!failed", "exec", True),
        ("3", "", "exec", True),
    ],
)
def test_directly_preceded(schema: str, history: str, intended: str, *, expected: bool) -> None:
    found = violated("step_directly_preceded_by", GATED, step(intended), history, schema=schema)
    assert found is expected


TARGETED = [
    "step_directly_preceded_by",
    "step_requires_predecessor",
    "step_preceded_by_without_intervening",
    "step_requires_dedicated_predecessor",
    "step_requires_gate",
]


def required(rule: str) -> dict[str, Any]:
    if rule == "step_requires_gate":
        return {}
    if rule == "step_preceded_by_without_intervening":
        return {**GATED, "forbidden_intervening": ["step.model"]}
    return GATED


@pytest.mark.parametrize("rule", TARGETED)
@pytest.mark.parametrize("schema", ["2", "3"])
@pytest.mark.parametrize(
    ("target", "intended", "expected"),
    [
        (RESOURCE, step("resource:GET"), True),
        (RESOURCE, step("resource:DELETE"), True),
        (RESOURCE, step("exec"), False),
        (RESOURCE, step("end"), False),
        (POST, step("resource:POST"), True),
        (POST, step("resource:GET"), False),
        (POST, step("resource:PATCH"), False),
        ({**RESOURCE, "target_verb": "WRITE"}, step("resource:POST"), True),
        ({**RESOURCE, "target_verb": "WRITE"}, step("resource:PATCH"), True),
        ({**RESOURCE, "target_verb": "WRITE"}, step("resource:DELETE"), True),
        ({**RESOURCE, "target_verb": "WRITE"}, step("resource:GET"), False),
        (EXTERNAL, step("resource", properties={"target": {"trust": "external"}}), True),
        (EXTERNAL, step("resource", properties={"target.trust": "external"}), True),
        (EXTERNAL, step("resource", properties={"target": {"trust": "internal"}}), False),
        (EXTERNAL, step("resource"), False),
        (
            {"target_step_types": ["step.exec", "step.message"]},
            step("message:POST"),
            True,
        ),
    ],
)
def test_only_targets_are_judged(
    rule: str, schema: str, target: dict[str, Any], intended: NormalStep, *, expected: bool
) -> None:
    assert violated(rule, {**required(rule), **target}, intended, schema=schema) is expected


@pytest.mark.parametrize("schema", ["2", "3"])
def test_targets_of_any_kind(schema: str) -> None:
    params = {**GATED, "target_property_filter": {"target.trust": "external"}}
    for kind in ("resource", "exec"):
        for trust, expected in (("external", True), ("internal", False)):
            intended = step(kind, properties={"target": {"trust": trust}})
            rule = "step_directly_preceded_by"
            assert violated(rule, params, intended, schema=schema) is expected


@pytest.mark.parametrize(
    ("schema", "history", "expected"),
    [
        ("2", "", True),
        ("2", "model exec", True),
        ("2", "gate", False),
        ("2", "gate model resource exec", False),
        ("2", "gate!blocked", False),
        ("3", "gate!blocked", True),
        ("3", "gate!failed", True),
        ("3", "gate gate!blocked", False),
    ],
)
def test_predecessor(schema: str, history: str, *, expected: bool) -> None:
    params = {**GATED, **RESOURCE}
    found = violated("step_requires_predecessor", params, step("resource"), history, schema=schema)
    assert found is expected


@pytest.mark.parametrize(
    ("schema", "history", "expected"),
    [
        ("2", "", True),
        ("2", "model", True),
        ("2", "gate", False),
        ("2", "gate exec", False),
        ("2", "gate model", True),
        ("2", "gate message", True),
        ("2", "model gate", False),
        ("2", "gate model gate exec", False),
        ("2", "gate model!blocked", True),
        ("2", "gate model gate!blocked", False),
        ("3", "gate model gate!blocked", True),
        ("3", "gate model gate!failed", True),
        ("3", "gate model!blocked", True),
        ("3", "gate exec", False),
    ],
)
def test_nothing_between(schema: str, history: str, *, expected: bool) -> None:
    params = {
        **GATED,
        **RESOURCE,
        "forbidden_intervening": ["step.model", "step.message"],
    }
    rule = "step_preceded_by_without_intervening"
    assert violated(rule, params, step("resource"), history, schema=schema) is expected


def test_a_required_step_does_not_come_between_itself() -> None:
    params = {**GATED, **RESOURCE, "forbidden_intervening": ["step.gate", "step.model"]}
    rule = "step_preceded_by_without_intervening"
    assert not violated(rule, params, step("resource"), "gate exec gate")
    assert violated(rule, params, step("resource"), "gate model")


@pytest.mark.parametrize(
    ("schema", "history", "expected"),
    [
        ("2", "", True),
        ("2", "resource", True),
        ("2", "gate", False),
        ("2", "gate model", False),
        ("2", "gate resource:POST", True),
        ("2", "gate resource:GET", True),
        ("2", "gate resource:POST gate", False),
        ("2", "resource:POST gate model", False),
        ("2", "gate resource:POST!blocked", True),
        ("2", "gate resource:POST gate!blocked", False),
        ("3", "gate resource:POST gate!blocked", True),
        ("3", "gate resource:POST!blocked", True),
        ("3", "gate resource:POST gate", False),
    ],
)
def test_each_target_has_its_own(schema: str, history: str, *, expected: bool) -> None:
    rule, params = "step_requires_dedicated_predecessor", {**GATED, **POST}
    assert violated(rule, params, step("resource:POST"), history, schema=schema) is expected


def test_a_required_step_does_not_use_up_itself() -> None:
    rule = "step_requires_dedicated_predecessor"
    params = {**GATED, "target_step_types": ["step.gate", "step.exec"]}
    assert violated(rule, params, step("gate"))
    assert not violated(rule, params, step("gate"), "gate")
    assert violated(rule, params, step("gate"), "gate exec")


@pytest.mark.parametrize(
    ("params", "history", "expected"),
    [
        ({}, [], True),
        ({}, [gate()], False),
        ({}, [gate(), step("model"), step("exec")], False),
        ({}, [gate("fail")], True),
        ({}, [gate(None)], True),
        ({}, [step("exec", properties={"guard": {"result": "pass"}})], True),
        ({}, [gate("pass", "anything")], False),
        ({"gate_check_type": "human_approval"}, [gate("pass", "human_approval")], False),
        ({"gate_check_type": "human_approval"}, [gate("pass", "pii")], True),
        ({"gate_check_type": "human_approval"}, [gate("pass")], True),
        ({"gate_check_type": "human_approval"}, [gate("fail", "human_approval")], True),
        ({"gate_result": "ok"}, [gate("ok")], False),
        ({"gate_result": "ok"}, [gate("pass")], True),
        ({}, [gate(status="blocked")], False),
    ],
)
def test_gate_of_the_second_generation(
    params: dict[str, Any], history: list[NormalStep], *, expected: bool
) -> None:
    found = violated("step_requires_gate", {**RESOURCE, **params}, step("resource"), history)
    assert found is expected


PASS = gate(kind="human", decision="pass")


@pytest.mark.parametrize(
    ("params", "history", "expected"),
    [
        ({}, [], True),
        ({}, [PASS], False),
        ({}, [gate(kind="human", decision="deny")], True),
        ({}, [gate("pass", kind="human")], True),
        ({}, [gate(kind="human", decision="pass", status="blocked")], True),
        ({}, [gate(kind="human", decision="pass", status="failed")], True),
        ({"gate_kind": "human"}, [PASS], False),
        ({"gate_kind": "guardrail"}, [PASS], True),
        ({"gate_kind": "guardrail"}, [gate(kind="guardrail", decision="pass")], False),
        ({"gate_decision": "approved"}, [PASS], True),
        ({"gate_decision": "approved"}, [gate(decision="approved")], False),
        ({"max_steps_since_gate": 0}, [PASS], False),
        ({"max_steps_since_gate": 0}, [PASS, step("model")], True),
        ({"max_steps_since_gate": 1}, [PASS, step("model")], False),
        ({"max_steps_since_gate": 1}, [PASS, step("model"), step("model!blocked")], True),
        ({"max_steps_since_gate": 1}, [PASS, *trace("model model"), PASS], False),
        ({"max_steps_since_gate": 1}, [], True),
    ],
)
def test_gate_of_the_third_generation(
    params: dict[str, Any], history: list[NormalStep], *, expected: bool
) -> None:
    given = {"target_kinds": ["step.resource"], **params}
    found = violated("step_requires_gate", given, step("resource"), history, schema="3")
    assert found is expected


@pytest.mark.parametrize(
    ("history", "intended", "expected"),
    [
        ("", "message:POST", False),
        ("credential", "message:POST", True),
        ("exec model", "message:POST", True),
        ("credential gate", "message:POST", True),
        ("model", "message:POST", False),
        ("credential", "message:GET", False),
        ("credential", "resource:POST", False),
        ("credential!blocked", "message:POST", True),
    ],
)
@pytest.mark.parametrize("schema", ["2", "3"])
def test_not_after(schema: str, history: str, intended: str, *, expected: bool) -> None:
    params = {
        "target_step_types": ["step.message"],
        "target_verb": "POST",
        "forbidden_predecessor_step_types": ["step.credential", "step.exec"],
    }
    found = violated("step_not_after", params, step(intended), history, schema=schema)
    assert found is expected
