"""What the catalogue tells about the rules and their parameters."""

import re

from muster.domains.control.policies.engine import rule_catalogue

RULES_AND_SCOPES = {
    **dict.fromkeys(["all_of", "any_of", "not"], "rst"),
    **dict.fromkeys(
        ["field_not_empty", "field_in_list", "field_matches_regex", "working_hours_only"], "rs"
    ),
    **dict.fromkeys(
        [
            "sequence_forbidden",
            "history_contains",
            "execution_max_steps",
            "max_consecutive_same_type",
            "usage_budget",
        ],
        "st",
    ),
    **dict.fromkeys(
        [
            "step_directly_preceded_by",
            "step_requires_predecessor",
            "step_preceded_by_without_intervening",
            "step_requires_dedicated_predecessor",
            "step_requires_gate",
            "step_not_after",
            "current_is",
            "tainted_path_block",
            "cross_execution_rate_limit",
            "domain_allowlist",
            "pii_in_request",
            "step_forbidden_for_classification",
            "step_name_in_allowlist",
            "path_within_root",
            "conditional_successor_required",
        ],
        "s",
    ),
}


def test_the_catalogue() -> None:
    catalogue = {rule["name"]: rule for rule in rule_catalogue()}
    assert len(catalogue) == 27
    assert {
        name: "".join(scope.split("_")[-2][0] for scope in rule["scopes"])
        for name, rule in catalogue.items()
    } == {name: scopes.replace("r", "a") for name, scopes in RULES_AND_SCOPES.items()}
    for rule in catalogue.values():
        assert rule["description"]
        for param in rule["params"].values():
            assert param["type"] in {"string", "array", "object", "integer", "number", "boolean"}
            assert isinstance(param["required"], bool)
            assert param["description"]
    hours = catalogue["working_hours_only"]["params"]
    assert hours["timezone"]["default"] == "UTC"
    assert (hours["start_hour"]["minimum"], hours["start_hour"]["maximum"]) == (0, 23)
    assert hours["start_hour"] == {
        "type": "integer",
        "format": "integer",
        "required": True,
        "description": "0 to 23.",
        "minimum": 0,
        "maximum": 23,
    }
    assert catalogue["usage_budget"]["params"]["budget"]["minimum"] == 0
    assert "minimum" not in hours["timezone"]
    verbs = "GET, POST, PATCH, DELETE, or WRITE for any of POST, PATCH and DELETE."
    for rule in catalogue.values():
        for name, param in rule["params"].items():
            whose = r"Only (steps|judged steps|tainting steps)"
            if param["format"] == "verb":
                assert re.fullmatch(f"{whose} with this verb: {verbs}", param["description"])
            if param["format"] == "filter" and name != "output_filter":
                assert re.match(f"{whose} whose properties have", param["description"])
    gate = catalogue["step_requires_gate"]["params"]
    assert gate["target_step_types"] == {
        "type": "array",
        "format": "step_types",
        "required": True,
        "description": "The kinds of steps that are judged.",
        "third_name": "target_kinds",
    }
    assert gate["gate_kind"]["schema"] == "3"
    assert "WRITE" in gate["target_verb"]["description"]
    assert "required" in catalogue["not"]["params"]["condition"]
