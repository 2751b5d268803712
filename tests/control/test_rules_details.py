"""What a violation of each rule says besides its message: facts that a program can read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from muster.domains.control.policies.engine import NormalStep, rule_catalogue
from tests.control.rules_setting import judged, policy, step, trace

GATED = {"required_step_type": "step.gate", "target_step_types": ["step.exec"]}
TRIGGER = {"field": "score", "op": "below", "value": 5}
SCORED = step("model", properties={"score": 3}, input={"score": 3})
EVENING = datetime(2026, 3, 4, 21, 30, tzinfo=UTC)
CALLS = {"step_type": "step.exec", "max_count": 2, "window_minutes": 5}


class Case(NamedTuple):
    rule: str
    params: Mapping[str, Any]
    subject: NormalStep | Mapping[str, Any]
    facts: Mapping[str, Any]
    history: str | list[NormalStep] = ""
    schema: str = "2"
    scope: str = "step_execution"
    context: Mapping[str, Any] = {}


CASES = [
    Case("field_not_empty", {"field": "name"}, {}, {"field": "name"}, scope="agent_registration"),
    Case("field_in_list", {"field": "risk", "values": ["low"]}, {"risk": "high"},
         {"field": "risk", "value": "high"}, scope="agent_registration"),
    Case("field_in_list", {"field": "risk", "values": ["low"]}, {},
         {"field": "risk", "value": None}, scope="agent_registration"),
    Case("field_matches_regex", {"field": "name", "pattern": "^a"}, {"name": "b"},
         {"field": "name", "pattern": "^a"}, scope="agent_registration"),
    Case("step_directly_preceded_by", GATED, step("exec"),
         {"required_step_type": "step.gate", "preceded_by": "step.model"}, "gate model"),
    Case("step_directly_preceded_by", GATED, step("exec"),
         {"required_step_type": "step.gate", "preceded_by": None}),
    Case("step_requires_predecessor", GATED, step("exec"), {"required_step_type": "step.gate"}),
    Case("step_preceded_by_without_intervening",
         {**GATED, "forbidden_intervening": ["step.model"]}, step("exec"),
         {"required_step_type": "step.gate"}),
    Case("step_preceded_by_without_intervening",
         {**GATED, "forbidden_intervening": ["step.model"]}, step("exec"),
         {"required_step_type": "step.gate"}, "gate model"),
    Case("step_requires_dedicated_predecessor", GATED, step("exec"),
         {"required_step_type": "step.gate"}),
    Case("step_requires_dedicated_predecessor", GATED, step("exec"),
         {"required_step_type": "step.gate"}, "gate exec"),
    Case("step_requires_gate", {"target_step_types": ["step.exec"]}, step("exec"), {}),
    Case("step_requires_gate", {"target_kinds": ["step.exec"], "max_steps_since_gate": 1},
         step("exec"), {"steps_since_gate": 3, "max_steps_since_gate": 1},
         [step("gate", output={"decision": "pass"}), *trace("model model model")], schema="3"),
    Case("step_not_after", {"target_step_types": ["step.exec"],
                            "forbidden_predecessor_step_types": ["step.model"]},
         step("exec"), {}, "model"),
    Case("sequence_forbidden", {"forbidden_sequence": ["step.model", "step.exec"]}, step("exec"),
         {"forbidden_sequence": ["step.model", "step.exec"]}, "model"),
    Case("history_contains", {"step_type": "step.gate"}, step("exec"), {"step_type": "step.gate"}),
    Case("current_is", {"step_type": "step.gate"}, step("exec"), {"step_type": "step.gate"}),
    Case("tainted_path_block",
         {"taint_step_type": "step.model", "target_step_types": ["step.exec"]}, step("exec"),
         {"tainted_by_index": 2}, "exec model model"),
    Case("conditional_successor_required",
         {"trigger_step_types": ["step.model"], "trigger_condition": TRIGGER,
          "required_step_type": "step.gate"},
         step("exec"), {"trigger_condition": TRIGGER}, [SCORED]),
    Case("execution_max_steps", {"step_type": "step.exec", "max_steps": 1}, step("exec"),
         {"count": 3, "max_steps": 1}, "exec exec"),
    Case("execution_max_steps", {"step_type": "step.exec", "max_steps": 1}, step("end"),
         {"count": 2, "max_steps": 1}, "exec exec", scope="task_execution"),
    Case("max_consecutive_same_type", {"step_type": "step.exec", "max_consecutive": 1},
         step("exec"), {"count": 3, "max_consecutive": 1}, "exec exec"),
    Case("max_consecutive_same_type", {"step_type": "step.exec", "max_consecutive": 1},
         step("exec"), {"count": 3, "max_consecutive": 1}, "exec exec exec model"),
    Case("cross_execution_rate_limit", CALLS, step("exec"),
         {"count": 3, "max_count": 2, "window_minutes": 5},
         context={"cross_execution_counts": {"step.exec/5m": 2}}),
    Case("cross_execution_rate_limit", CALLS, step("exec"), {"rate_key": "step.exec/5m"}),
    Case("usage_budget", {"step_type": "step.model", "property_path": "t", "budget": 1.5},
         step("model", properties={"t": 1}), {"used": 3.0, "budget": 1.5},
         [step("model", properties={"t": 2})], schema="3"),
    Case("domain_allowlist", {"allowed_domains": ["a.org"]},
         step("exec", properties={"target.host": "b.org"}), {"host": "b.org"}),
    Case("domain_allowlist", {"allowed_domains": ["a.org"], "target_kinds": ["step.exec"]},
         step("exec"), {}, schema="3"),
    Case("pii_in_request", {"patterns": ["x", "y"]}, step("exec", input="y"),
         {"pattern_index": 1}),
    Case("step_forbidden_for_classification",
         {"forbidden_step_type": "step.exec", "agent_risk_classifications": ["high"]},
         step("exec"), {"risk_classification": "high"}, context={"risk_classification": "high"}),
    Case("working_hours_only", {"start_hour": 8, "end_hour": 18}, step("exec"),
         {"hour": 21, "start_hour": 8, "end_hour": 18}, context={"now": EVENING}),
    Case("step_name_in_allowlist", {"agent_field": "metadata.tools"}, step("exec", "run"),
         {"agent_field": "metadata.tools"}),
    Case("step_name_in_allowlist", {"agent_field": "metadata.tools"}, step("exec", "run"),
         {"agent_field": "metadata.tools", "step_name": "run"},
         context={"metadata": {"tools": ["walk"]}}),
    Case("path_within_root", {}, step("exec", properties={"target.host": "/etc"}),
         {"path": "/etc"}, context={"project_root": "/srv"}),
    Case("not", {"condition": {"rule_type": "current_is", "params": {"step_type": "step.exec"}}},
         step("exec"), {"conditions": [
             {"rule_type": "current_is", "passed": True, "violation_details": None}]}),
    Case("all_of", {"conditions": [{"rule_type": "history_contains",
                                    "params": {"step_type": "step.gate"}}]},
         step("exec"), {"conditions": [
             {"rule_type": "history_contains", "passed": False, "violation_details": {
                 "message": "the task contains no such step.gate", "step_type": "step.gate"}}]}),
    Case("any_of", {"conditions": [{"rule_type": "current_is",
                                    "params": {"step_type": "step.gate"}}]},
         step("exec"), {"conditions": [
             {"rule_type": "current_is", "passed": False, "violation_details": {
                 "message": "the step is no such step.gate", "step_type": "step.gate"}}]}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_the_facts_of_a_violation(case: Case) -> None:
    found = policy(case.rule, case.params, schema=case.schema, scope=case.scope)
    history = trace(case.history) if isinstance(case.history, str) else case.history
    result = judged(found, case.subject, history, **case.context)
    assert result.violation_details is not None
    message, facts = result.violation_details["message"], dict(result.violation_details)
    assert message
    del facts["message"]
    assert facts == case.facts


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule["name"] for rule in rule_catalogue()}
