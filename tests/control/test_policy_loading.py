"""Policies are read strictly: nothing is guessed, nothing fails open."""

from typing import Any

import pytest

from muster.domains.control.policies.engine import (
    PolicyInvalid,
    load_policy,
    spell_params,
)

STEP = "step.resource"
TARGET = {"target_step_types": [STEP]}
LIMIT = {"step_type": STEP, "max_steps": 5}
VALID: dict[str, Any] = {
    "name": "Limit",
    "rule_type": "execution_max_steps",
    "params": LIMIT,
    "severity": "high",
    "scope": "step_execution",
}


def problems(raw: Any, schema: str = "2") -> dict[str, str]:
    with pytest.raises(PolicyInvalid) as refused:
        load_policy(raw, schema=schema)
    found = refused.value.problems
    assert all(problem.message for problem in found)
    return {problem.path: problem.message for problem in found}


def of_params(
    rule: str, params: Any, schema: str = "2", scope: str = "step_execution"
) -> list[str]:
    raw = {**VALID, "rule_type": rule, "params": params, "scope": scope}
    return sorted(problems(raw, schema))


def test_a_policy() -> None:
    found = load_policy(
        {
            **VALID,
            "id": 7,
            "description": "d",
            "enabled": False,
            "agent_id": "a1",
            "risk_classification": "high",
            "environments": ["qa", "production"],
            "enforcement": "require_approval",
        }
    )
    assert (found.id, found.name, found.description, found.enabled) == ("7", "Limit", "d", False)
    assert (found.rule_type, found.params) == ("execution_max_steps", LIMIT)
    assert (found.severity, found.scope, found.schema) == ("high", "step_execution", "2")
    assert (found.agent_id, found.risk_classification) == ("a1", "high")
    assert (found.environments, found.enforcement) == (("qa", "production"), "require_approval")


def test_what_may_be_left_out() -> None:
    found = load_policy({**VALID, "description": None, "agent_id": None, "environment": None})
    assert (found.id, found.description, found.enabled) == ("", "", True)
    assert (found.agent_id, found.environments, found.enforcement) == (None, (), None)
    assert load_policy({**VALID, "environment": "qa"}).environments == ("qa",)


@pytest.mark.parametrize("where", ["argument", "policy"])
@pytest.mark.parametrize(("named", "found"), [("2", "2"), ("3", "3"), (3, "3"), (2, "2")])
def test_schemas(where: str, named: Any, found: str) -> None:
    raw = {**VALID, "schema": named} if where == "policy" else VALID
    argument = str(named) if where == "argument" else "2"
    assert load_policy(raw, schema=argument).schema == found


def test_a_policy_s_own_schema_wins() -> None:
    assert load_policy({**VALID, "schema": "2"}, schema="3").schema == "2"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"description": 5}, "description"),
        ({"rule_type": "no_such_rule"}, "rule_type"),
        ({"rule_type": None}, "rule_type"),
        ({"rule_type": ["not"]}, "rule_type"),
        ({"rule_type": "field_not_empty", "params": {"field": "x"}, "scope": "task_execution"},
         "rule_type"),
        ({"scope": "agent_registration"}, "rule_type"),
        ({"params": None}, "params"),
        ({"params": []}, "params"),
        ({"severity": "severe"}, "severity"),
        ({"severity": "HIGH"}, "severity"),
        ({"severity": None}, "severity"),
        ({"severity": ["high"]}, "severity"),
        ({"scope": "step"}, "scope"),
        ({"scope": None}, "scope"),
        ({"scope": None, "enforcement_point": "x"}, "enforcement_point"),
        ({"enforcement_point": "task_execution"}, "enforcement_point"),
        ({"enabled": "yes"}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"agent_id": 5}, "agent_id"),
        ({"risk_classification": "High"}, "risk_classification"),
        ({"environment": "prod"}, "environment"),
        ({"environments": []}, "environments"),
        ({"environments": ["qa", "prod"]}, "environments"),
        ({"environments": {"qa": 1}}, "environments"),
        ({"environments": ["qa"], "environment": "qa"}, "environments"),
        ({"enforcement": "deny"}, "enforcement"),
        ({"enforcement": "block", "scope": "task_execution"}, "enforcement"),
        ({"enforcement": "require_approval", "scope": "task_execution"}, "enforcement"),
        ({"schema": "4"}, "schema"),
        ({"schema": True}, "schema"),
        ({"schema": 2.0}, "schema"),
        ({"id": 1.5}, "id"),
        ({"id": True}, "id"),
        ({"severty": "high"}, "severty"),
        ({5: "x"}, "5"),
    ],
)  # fmt: skip
def test_what_is_refused(changes: dict[str, Any], path: str) -> None:
    assert list(problems({**VALID, **changes})) == [path]


def test_everything_wrong_is_told() -> None:
    found = problems({"name": "", "rule_type": "field_in_list", "params": {"field": 1, "x": 2},
                      "severity": "no", "scope": "agent_registration", "schema": "9"})  # fmt: skip
    assert set(found) == {
        "name", "params.field", "params.values", "params.x", "severity", "schema",
    }  # fmt: skip
    assert "it has field, values" in found["params.x"]
    with pytest.raises(PolicyInvalid, match="severity: must be one of low, medium"):
        load_policy({**VALID, "severity": "severe"})


def test_what_is_no_object() -> None:
    assert problems("text") == {"": "must be an object"}


NESTED = {"rule_type": "current_is", "params": {"step_type": STEP}}
TRIGGER = {"field": "x", "op": "below", "value": 1}
SUCCESSOR = {"trigger_step_types": [STEP], "trigger_condition": TRIGGER,
             "required_step_type": STEP}  # fmt: skip
HOURS = {"start_hour": 1, "end_hour": 2}


@pytest.mark.parametrize(
    ("rule", "params", "path"),
    [
        ("field_not_empty", {}, "field"),
        ("field_not_empty", {"field": ""}, "field"),
        ("field_in_list", {"field": "x", "values": []}, "values"),
        ("field_in_list", {"field": "x", "values": "y"}, "values"),
        ("field_in_list", {"field": "x", "values": [float("nan")]}, "values"),
        ("field_matches_regex", {"field": "x", "pattern": "("}, "pattern"),
        ("field_matches_regex", {"field": "x", "pattern": "(?=a)"}, "pattern"),
        ("field_matches_regex", {"field": "x", "pattern": ""}, "pattern"),
        ("field_matches_regex", {"field": "x", "pattern": ["a"]}, "pattern"),
        ("step_requires_predecessor", {**TARGET}, "required_step_type"),
        ("step_requires_predecessor", {**TARGET, "required_step_type": "x"}, "required_step_type"),
        ("step_requires_predecessor", {**TARGET, "required_step_type": [STEP]},
         "required_step_type"),
        ("step_requires_predecessor", {"required_step_type": STEP}, "target_step_types"),
        ("step_requires_gate", {"target_step_types": []}, "target_step_types"),
        ("step_requires_gate", {"target_step_types": {}}, "target_step_types"),
        ("step_requires_gate", {"target_step_types": [STEP, "x"]}, "target_step_types[1]"),
        ("step_requires_gate", {**TARGET, "target_verb": "PUT"}, "target_verb"),
        ("step_requires_gate", {**TARGET, "target_verb": ["POST"]}, "target_verb"),
        ("step_requires_gate", {"target_step_types": ["step.exec"], "target_verb": "POST"},
         "target_verb"),
        ("step_requires_gate", {"target_step_types": ["step.message"], "target_verb": "DELETE"},
         "target_verb"),
        ("step_requires_gate", {**TARGET, "target_property_filter": []}, "target_property_filter"),
        ("step_requires_gate", {**TARGET, "target_property_filter": {1: 2}},
         "target_property_filter"),
        ("step_requires_gate", {**TARGET, "target_property_filter": {"": 2}},
         "target_property_filter"),
        ("step_requires_gate", {**TARGET, "gate_check_type": 5}, "gate_check_type"),
        ("step_requires_gate", {**TARGET, "gate_kind": "human"}, "gate_kind"),
        ("step_requires_gate", {**TARGET, "gate_decision": "pass"}, "gate_decision"),
        ("step_not_after", {**TARGET, "forbidden_predecessor_step_types": [STEP],
                            "target_property_filter": {"a": 1}}, "target_property_filter"),
        ("step_requires_gate", {**TARGET, "max_steps_since_gate": 1}, "max_steps_since_gate"),
        ("sequence_forbidden", {"forbidden_sequence": []}, "forbidden_sequence"),
        ("sequence_forbidden", {"forbidden_sequence": [STEP, 1]}, "forbidden_sequence[1]"),
        ("history_contains", {"step_type": STEP, "count_attempts": True}, "count_attempts"),
        ("history_contains", {"step_type": STEP, "output_filter": {"a": 1}}, "output_filter"),
        ("history_contains", {"step_type": "step.gate", "verb": "GET"}, "verb"),
        ("execution_max_steps", {"step_type": STEP, "max_steps": "5"}, "max_steps"),
        ("execution_max_steps", {"step_type": STEP, "max_steps": True}, "max_steps"),
        ("execution_max_steps", {"step_type": STEP, "max_steps": 5.0}, "max_steps"),
        ("execution_max_steps", {"step_type": STEP, "max_steps": -1}, "max_steps"),
        ("max_consecutive_same_type", {"step_type": STEP, "max_consecutive": 0},
         "max_consecutive"),
        ("cross_execution_rate_limit", {"step_type": STEP, "max_count": 1, "window_minutes": 0},
         "window_minutes"),
        ("usage_budget", {"step_type": STEP, "property_path": "x", "budget": "9"}, "budget"),
        ("usage_budget", {"step_type": STEP, "property_path": "x", "budget": float("inf")},
         "budget"),
        ("usage_budget", {"step_type": STEP, "property_path": "x", "budget": -0.5}, "budget"),
        ("usage_budget", {"step_type": STEP, "property_path": "x", "budget": 10**400}, "budget"),
        ("domain_allowlist", {"allowed_domains": []}, "allowed_domains"),
        ("domain_allowlist", {"allowed_domains": ["a.com", "https://b.com"]},
         "allowed_domains[1]"),
        ("domain_allowlist", {"allowed_domains": ["*.b.com"]}, "allowed_domains[0]"),
        ("domain_allowlist", {"allowed_domains": ["b.com:80"]}, "allowed_domains[0]"),
        ("domain_allowlist", {"allowed_domains": [".b.com"]}, "allowed_domains[0]"),
        ("domain_allowlist", {"allowed_domains": ["-b.com"]}, "allowed_domains[0]"),
        ("domain_allowlist", {"allowed_domains": ["b-.com"]}, "allowed_domains[0]"),
        ("domain_allowlist", {"allowed_domains": ["b.com"], "target_kinds": [STEP]},
         "target_kinds"),
        ("pii_in_request", {"patterns": []}, "patterns"),
        ("pii_in_request", {"patterns": ["a", "["]}, "patterns[1]"),
        ("step_forbidden_for_classification",
         {"forbidden_step_type": STEP, "agent_risk_classifications": []},
         "agent_risk_classifications"),
        ("step_forbidden_for_classification",
         {"forbidden_step_type": STEP, "agent_risk_classifications": ["High"]},
         "agent_risk_classifications[0]"),
        ("working_hours_only", {**HOURS, "start_hour": 24}, "start_hour"),
        ("working_hours_only", {**HOURS, "start_hour": -1}, "start_hour"),
        ("working_hours_only", {**HOURS, "end_hour": 25}, "end_hour"),
        ("working_hours_only", {**HOURS, "timezone": "Europe/Amsterdm"}, "timezone"),
        ("working_hours_only", {**HOURS, "timezone": "../etc/passwd"}, "timezone"),
        ("working_hours_only", {**HOURS, "timezone": "Europe"}, "timezone"),
        ("step_name_in_allowlist", {"agent_field": "tools"}, "agent_field"),
        ("step_name_in_allowlist", {"agent_field": "metadata."}, "agent_field"),
        ("step_name_in_allowlist", {"agent_field": "declared_tools", "target_step_types": []},
         "target_step_types"),
        ("path_within_root", {"target_verbs": []}, "target_verbs"),
        ("path_within_root", {"target_verbs": ["POST", "PUT"]}, "target_verbs[1]"),
        ("path_within_root", {"target_verbs": "POST"}, "target_verbs"),
        ("conditional_successor_required",
         {"trigger_step_types": [STEP], "trigger_condition": TRIGGER}, "required_step_type"),
        ("conditional_successor_required", {**SUCCESSOR, "trigger_condition": []},
         "trigger_condition"),
        ("conditional_successor_required",
         {**SUCCESSOR, "trigger_condition": {**TRIGGER, "op": "is"}}, "trigger_condition.op"),
        ("conditional_successor_required",
         {**SUCCESSOR, "trigger_condition": {**TRIGGER, "field": ""}}, "trigger_condition.field"),
        ("conditional_successor_required",
         {**SUCCESSOR, "trigger_condition": {**TRIGGER, "value": "1"}}, "trigger_condition.value"),
        ("conditional_successor_required",
         {**SUCCESSOR, "trigger_condition": {**TRIGGER, "op": "above", "value": True}},
         "trigger_condition.value"),
        ("conditional_successor_required",
         {**SUCCESSOR, "trigger_condition": {"field": "x", "op": "equals"}},
         "trigger_condition.value"),
        ("conditional_successor_required",
         {**SUCCESSOR, "trigger_condition": {**TRIGGER, "x": 1}}, "trigger_condition.x"),
        ("all_of", {}, "conditions"),
        ("all_of", {"conditions": []}, "conditions"),
        ("all_of", {"conditions": NESTED}, "conditions"),
        ("all_of", {"conditions": ["x"]}, "conditions[0]"),
        ("any_of", {"conditions": [NESTED, {"rule_type": "x"}]}, "conditions[1].rule_type"),
        ("any_of", {"conditions": [{"params": {}}]}, "conditions[0].rule_type"),
        ("any_of", {"conditions": [{**NESTED, "severity": "high"}]}, "conditions[0].severity"),
        ("any_of", {"conditions": [{"rule_type": "current_is"}]},
         "conditions[0].params.step_type"),
        ("any_of", {"conditions": [{**NESTED, "params": []}]}, "conditions[0].params"),
        ("any_of",
         {"conditions": [{"rule_type": "not", "params": {"condition": {"rule_type": "x"}}}]},
         "conditions[0].params.condition.rule_type"),
        ("not", {"condition": []}, "condition"),
        ("not", {"condition": {"rule_type": "sequence_forbidden",
                               "params": {"forbidden_sequence": ["task.end"]}}},
         "condition.params.forbidden_sequence"),
    ],
)  # fmt: skip
def test_parameters_that_are_refused(rule: str, params: dict[str, Any], path: str) -> None:
    assert of_params(rule, params) == [f"params.{path}"]


@pytest.mark.parametrize(
    ("rule", "params", "path"),
    [
        ("history_contains", {"kind": STEP}, "count_attempts"),
        ("history_contains", {"kind": STEP, "count_attempts": 1}, "count_attempts"),
        ("domain_allowlist", {"allowed_domains": ["b.com"]}, "target_kinds"),
        ("step_requires_gate", {"target_kinds": [STEP], "gate_kind": "robot"}, "gate_kind"),
        ("step_requires_gate", {"target_kinds": [STEP], "gate_check_type": "x"},
         "gate_check_type"),
        ("step_requires_gate", {"target_kinds": [STEP], "gate_result": "x"}, "gate_result"),
        ("step_requires_gate", {}, "target_kinds"),
    ],
)  # fmt: skip
def test_parameters_that_the_third_refuses(rule: str, params: dict[str, Any], path: str) -> None:
    assert of_params(rule, params, "3") == [f"params.{path}"]


EXEC = {"step_type": "step.exec"}
VERBS: list[tuple[str, dict[str, Any], str]] = [
    ("execution_max_steps", {**EXEC, "max_steps": 1}, "verb"),
    ("history_contains", EXEC, "verb"),
    ("current_is", EXEC, "verb"),
    ("tainted_path_block", {"taint_step_type": "step.exec", **TARGET}, "taint_verb"),
    ("tainted_path_block", {"taint_step_type": STEP, "target_step_types": ["step.exec"]},
     "target_verb"),
    ("step_forbidden_for_classification",
     {"forbidden_step_type": "step.exec", "agent_risk_classifications": ["high"]},
     "forbidden_verb"),
    ("step_not_after", {"target_step_types": ["step.exec"],
                        "forbidden_predecessor_step_types": [STEP]}, "target_verb"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "params", "verb"), VERBS)
def test_a_verb_fits_its_kinds(rule: str, params: dict[str, Any], verb: str) -> None:
    assert of_params(rule, {**params, verb: "POST"}) == [f"params.{verb}"]


NEEDED = {
    "field_not_empty": "field",
    "field_in_list": "field values",
    "field_matches_regex": "field pattern",
    "step_directly_preceded_by": "required_step_type",
    "step_requires_predecessor": "required_step_type target_step_types",
    "step_preceded_by_without_intervening":
        "forbidden_intervening required_step_type target_step_types",
    "step_requires_dedicated_predecessor": "required_step_type target_step_types",
    "step_requires_gate": "target_step_types",
    "sequence_forbidden": "forbidden_sequence",
    "step_not_after": "forbidden_predecessor_step_types target_step_types",
    "history_contains": "step_type",
    "current_is": "step_type",
    "tainted_path_block": "taint_step_type target_step_types",
    "execution_max_steps": "max_steps step_type",
    "max_consecutive_same_type": "max_consecutive step_type",
    "cross_execution_rate_limit": "max_count step_type window_minutes",
    "usage_budget": "budget property_path step_type",
    "domain_allowlist": "allowed_domains",
    "pii_in_request": "patterns",
    "step_forbidden_for_classification": "agent_risk_classifications forbidden_step_type",
    "working_hours_only": "end_hour start_hour",
    "step_name_in_allowlist": "agent_field",
    "path_within_root": "",
    "conditional_successor_required": "trigger_condition trigger_step_types",
    "all_of": "conditions",
    "any_of": "conditions",
    "not": "condition",
}  # fmt: skip
NEEDED_BY_THE_THIRD = {
    "history_contains": "count_attempts",
    "domain_allowlist": "target_kinds",
}


@pytest.mark.parametrize("rule", NEEDED)
def test_needed_parameters(rule: str) -> None:
    scope = "agent_registration" if rule.startswith("field") else "step_execution"
    second = {"unknown", *NEEDED[rule].split()}
    found = of_params(rule, {"unknown": 1}, scope=scope)
    assert found == sorted(f"params.{name}" for name in second)
    third = {name.replace("step_type", "kind") for name in second}
    third.update(NEEDED_BY_THE_THIRD.get(rule, "").split())
    found = of_params(rule, {"unknown": 1}, "3", scope)
    assert found == sorted(f"params.{name}" for name in third)


def test_conditions_are_heard_where_their_policy_is() -> None:
    given = {"conditions": [NESTED]}
    path = ["params.conditions[0].rule_type"]
    assert of_params("all_of", given, scope="agent_registration") == path
    assert of_params("all_of", given, scope="task_execution") == path


def test_depth() -> None:
    def nested(depth: int) -> dict[str, Any]:
        found: dict[str, Any] = NESTED
        for _ in range(depth - 1):
            found = {"rule_type": "not", "params": {"condition": found}}
        return {"condition": found}

    raw = {**VALID, "rule_type": "not"}
    assert load_policy({**raw, "params": nested(8)})
    (path,) = problems({**raw, "params": nested(9)})
    assert path == "params" + ".condition.params" * 8 + ".condition"


SPELLINGS = [
    ({"required_step_type": "step.gate", "target_step_types": [STEP]}),
    ({"required_kind": "step.gate", "target_kinds": [STEP]}),
    ({"required_step_type": "step.gate", "target_kinds": [STEP]}),
    ({"required_kind": "step.gate", "target_step_type": STEP}),
    ({"required_kind": "step.gate", "target_kind": [STEP], "target_verb": None}),
]


@pytest.mark.parametrize("params", SPELLINGS)
@pytest.mark.parametrize("schema", ["2", "3"])
@pytest.mark.parametrize("point", ["scope", "enforcement_point"])
def test_spellings_of_both_generations(params: dict[str, Any], schema: str, point: str) -> None:
    raw = {"name": "x", "rule_type": "step_requires_predecessor", "params": params,
           "severity": "low", point: "step_execution"}  # fmt: skip
    found = load_policy(raw, schema=schema)
    assert found.params == SPELLINGS[0]
    assert found.scope == "step_execution"
    assert spell_params(found.rule_type, found.params, "3") == SPELLINGS[1]
    assert spell_params(found.rule_type, found.params, "2") == SPELLINGS[0]


def test_one_thing_is_said_once() -> None:
    given = {**LIMIT, "kind": STEP}
    (message,) = problems({**VALID, "params": given}).values()
    assert message == "says the same as step_type; give one of them"
    assert load_policy({**VALID, "enforcement_point": "step_execution"})


def test_values_are_written_in_one_way() -> None:
    given = {"allowed_domains": ["API.Example.com."]}
    found = load_policy({**VALID, "rule_type": "domain_allowlist", "params": given})
    assert found.params == {"allowed_domains": ["api.example.com"]}
    given = {"taint_step_type": "step.resource", "taint_verb": "get", "target_step_types": STEP,
             "target_verb": "write", "taint_property_filter": {}}  # fmt: skip
    found = load_policy({**VALID, "rule_type": "tainted_path_block", "params": given})
    assert found.params == {
        "taint_step_type": STEP,
        "taint_verb": "GET",
        "target_step_types": [STEP],
        "target_verb": "WRITE",
    }
    given = {"step_type": "step.task_end", "max_steps": 1}
    assert load_policy({**VALID, "params": given}).params["step_type"] == "task.end"
