"""Which policies are asked about a step at all: those that could say anything but yes."""

from typing import Any

import pytest

from muster.domains.control.policies.engine import PolicySet
from tests.control.rules_setting import policy

EXEC, MODEL = {"step.exec"}, {"step.model"}
GATED = {"required_step_type": "step.gate"}
TARGET = {"target_step_types": ["step.exec"]}
TAINT = {"taint_step_type": "step.model", **TARGET}
LIMIT = {"step_type": "step.exec", "max_steps": 1}
RATE = {"step_type": "step.exec", "max_count": 1, "window_minutes": 1}
BUDGET = {"step_type": "step.model", "property_path": "t", "budget": 1}


@pytest.mark.parametrize(
    ("rule", "params", "kinds", "third", "at_end"),
    [
        ("step_directly_preceded_by", GATED, None, None, ...),
        ("step_directly_preceded_by", {**GATED, **TARGET}, EXEC, EXEC, ...),
        ("step_requires_predecessor", {**GATED, **TARGET}, EXEC, EXEC, ...),
        ("step_requires_gate", TARGET, EXEC, EXEC, ...),
        ("step_requires_gate", {**TARGET, "target_property_filter": {"a": 1}}, EXEC, EXEC, ...),
        ("sequence_forbidden", {"forbidden_sequence": ["step.exec"]}, None, None, None),
        ("tainted_path_block", TAINT, EXEC, EXEC, ...),
        ("current_is", {"step_type": "step.exec"}, None, None, ...),
        ("execution_max_steps", LIMIT, EXEC, EXEC, None),
        ("cross_execution_rate_limit", RATE, EXEC, EXEC, ...),
        ("usage_budget", BUDGET, None, MODEL, None),
        ("pii_in_request", {"patterns": ["a"]}, None, None, ...),
        ("domain_allowlist", {"allowed_domains": ["a.org"]}, None, ..., ...),
        ("domain_allowlist", {"allowed_domains": ["a.org"], **TARGET}, ..., EXEC, ...),
        (
            "step_forbidden_for_classification",
            {"forbidden_step_type": "step.exec", "agent_risk_classifications": ["high"]},
            EXEC,
            EXEC,
            ...,
        ),
        ("step_name_in_allowlist", {"agent_field": "declared_tools"}, None, None, ...),
        ("step_name_in_allowlist", {"agent_field": "declared_tools", **TARGET}, EXEC, EXEC, ...),
        ("path_within_root", {}, None, None, ...),
        ("path_within_root", TARGET, EXEC, EXEC, ...),
    ],
)
def test_the_kinds_that_a_rule_is_asked_about(
    rule: str, params: dict[str, Any], kinds: Any, third: Any, at_end: Any
) -> None:
    """Dots stand for what cannot be written."""
    cases = [("2", "step_execution", kinds), ("3", "step_execution", third),
             ("2", "task_execution", at_end)]  # fmt: skip
    for schema, scope, expected in cases:
        if expected is not ...:
            (compiled,) = PolicySet([policy(rule, params, schema=schema, scope=scope)])._compiled
            assert compiled.judgement.kinds == expected


@pytest.mark.parametrize(
    ("params", "judged_by"),
    [
        (TARGET, "_step_requires_gate"),
        ({**TARGET, "target_property_filter": {"a": 1}}, "_targeted"),
    ],
)
def test_kinds_alone_are_not_tested_twice(params: dict[str, Any], judged_by: str) -> None:
    (compiled,) = PolicySet([policy("step_requires_gate", params)])._compiled
    assert compiled.judgement.judge.__qualname__.startswith(f"{judged_by}.")
