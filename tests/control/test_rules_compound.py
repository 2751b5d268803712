"""Rules made of other rules."""

from typing import Any

import pytest

from tests.control.rules_setting import judged, policy, step, violated

YES = {"rule_type": "current_is", "params": {"step_type": "step.exec"}}
NO = {"rule_type": "current_is", "params": {"step_type": "step.model"}}
BOTH = pytest.mark.parametrize("schema", ["2", "3"])


@BOTH
@pytest.mark.parametrize(
    ("conditions", "all_violated", "any_violated"),
    [
        ([YES], False, False),
        ([NO], True, True),
        ([YES, YES], False, False),
        ([YES, NO], True, False),
        ([NO, YES], True, False),
        ([NO, NO], True, True),
    ],
)
def test_all_and_any(
    schema: str, conditions: list[Any], *, all_violated: bool, any_violated: bool
) -> None:
    given = {"conditions": conditions}
    assert violated("all_of", given, step("exec"), schema=schema) is all_violated
    assert violated("any_of", given, step("exec"), schema=schema) is any_violated


@BOTH
def test_not(schema: str) -> None:
    assert violated("not", {"condition": YES}, step("exec"), schema=schema)
    assert not violated("not", {"condition": NO}, step("exec"), schema=schema)
    twice = {"rule_type": "not", "params": {"condition": YES}}
    assert not violated("not", {"condition": twice}, step("exec"), schema=schema)


def test_the_result_tree_is_whole() -> None:
    nested = {"rule_type": "any_of", "params": {"conditions": [NO, NO]}}
    found = policy("all_of", {"conditions": [nested, YES, NO]})
    details = judged(found, step("exec")).violation_details
    assert details is not None
    assert details["message"] == "not every condition passed"
    first, second, third = details["conditions"]
    assert (first["rule_type"], first["passed"]) == ("any_of", False)
    inner = first["violation_details"]["conditions"]
    assert [item["passed"] for item in inner] == [False, False]
    assert second == {"rule_type": "current_is", "passed": True, "violation_details": None}
    assert third["violation_details"]["message"] == "the step is no such step.model"


def test_a_condition_out_of_its_targets_passes() -> None:
    limit = {"rule_type": "execution_max_steps", "params": {"step_type": "step.exec",
                                                            "max_steps": 0}}  # fmt: skip
    assert violated("all_of", {"conditions": [limit]}, step("exec"))
    assert not violated("all_of", {"conditions": [limit]}, step("model"))
    assert violated("not", {"condition": limit}, step("model"))
    needed = {"rule_type": "step_requires_predecessor", "params": {
        "required_step_type": "step.gate", "target_step_types": ["step.exec"]}}  # fmt: skip
    assert violated("all_of", {"conditions": [needed]}, step("exec"))
    assert not violated("all_of", {"conditions": [needed]}, step("model"))


def fresh_gate() -> dict[str, Any]:
    """Fetched from outside, nothing with effects goes on without a gate right before."""
    after = {"step_type": "step.resource", "property_filter": {"target.trust": "external"}}
    gate = {"rule_type": "step_directly_preceded_by", "params": {"required_step_type": "step.gate"}}
    return {
        "condition": {
            "rule_type": "all_of",
            "params": {
                "conditions": [
                    {"rule_type": "any_of", "params": {"conditions": [YES, NO]}},
                    {"rule_type": "history_contains", "params": after},
                    {"rule_type": "not", "params": {"condition": gate}},
                ]
            },
        }
    }


def test_history_inside_of_conditions() -> None:
    outside = step("resource", properties={"target": {"trust": "external"}})
    found = policy("not", fresh_gate())
    assert not judged(found, step("exec")).violated
    assert judged(found, step("exec"), [outside]).violated
    assert judged(found, step("exec"), [step("gate"), outside]).violated
    assert not judged(found, step("exec"), [outside, step("gate")]).violated
    assert not judged(found, step("message"), [outside]).violated


@BOTH
def test_profiles_and_whole_tasks(schema: str) -> None:
    named = {"rule_type": "field_not_empty", "params": {"field": "name"}}
    owned = {"rule_type": "field_not_empty", "params": {"field": "owner"}}
    given = {"conditions": [named, owned]}
    scope = "agent_registration"
    assert violated("all_of", given, {"name": "x"}, schema=schema, scope=scope)
    assert not violated("any_of", given, {"name": "x"}, schema=schema, scope=scope)
    params: dict[str, Any] = {"step_type": "step.gate"}
    if schema == "3":
        params["count_attempts"] = True
    checked = {"rule_type": "history_contains", "params": params}
    for history, expected in (("gate", True), ("model", False)):
        found = violated(
            "not", {"condition": checked}, step("end"), history, schema=schema,
            scope="task_execution",
        )  # fmt: skip
        assert found is expected
