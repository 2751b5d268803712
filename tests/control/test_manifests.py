"""Manifests are read strictly, with lines, and written in either spelling."""

import pytest

from muster.domains.control.policies.engine import PolicyInvalid, dump_manifest, load_manifest

SECOND = """\
# SPDX-License-Identifier: Apache-2.0
#
# A comment.
name: "Guard"
description: |
  What it guards.
version: "1.0.0"

policies:
  - name: "Purpose"
    description: |
      Long text.
    rule_type: field_matches_regex
    params:
      field: purpose
      pattern: "^.{30,}$"
    severity: high
    scope: agent_registration
    risk_classification: limited
  - name: "Taint"
    rule_type: tainted_path_block
    params:
      taint_step_type: step.resource
      taint_verb: GET
      taint_property_filter:
        data.classification: pii
      target_step_types: ["step.message", "step.resource"]
      target_verb: POST
    severity: critical
    scope: step_execution
  - name: "Fresh gate"
    rule_type: not
    params:
      condition:
        rule_type: all_of
        params:
          conditions:
            - rule_type: current_is
              params: {step_type: step.exec}
            - rule_type: not
              params:
                condition:
                  rule_type: step_directly_preceded_by
                  params:
                    required_step_type: step.gate
    severity: critical
    scope: step_execution
"""
THIRD = """\
name: Third
version: "2"
schema: "3"
policies:
  - name: Calls
    id: calls
    rule_type: history_contains
    params: {kind: step.model, count_attempts: false}
    severity: low
    enforcement_point: task_execution
    enabled: false
    agent_id: a1
    environments: [qa]
  - name: Old
    rule_type: usage_budget
    params: {kind: step.model, property_path: usage.tokens, budget: 5}
    severity: critical
    enforcement_point: step_execution
    enforcement: require_approval
    schema: "2"
"""


def test_second_generation() -> None:
    found = load_manifest(SECOND)
    assert (found.name, found.version, found.licence) == ("Guard", "1.0.0", "Apache-2.0")
    assert found.description == "What it guards.\n"
    assert [policy.id for policy in found.policies] == ["0", "1", "2"]
    assert [policy.schema for policy in found.policies] == ["2", "2", "2"]
    assert found.policies[0].risk_classification == "limited"
    assert found.policies[1].params["taint_property_filter"] == {"data.classification": "pii"}
    assert all(policy.enabled for policy in found.policies)


def test_third_generation_and_between() -> None:
    found = load_manifest(THIRD)
    first, second = found.policies
    assert (found.licence, found.description) == (None, "")
    assert (first.id, first.schema, first.scope) == ("calls", "3", "task_execution")
    assert first.params == {"step_type": "step.model", "count_attempts": False}
    assert (second.id, second.schema, second.enforcement) == ("1", "2", "require_approval")
    hybrid = SECOND.replace("scope: ", "enforcement_point: ")
    assert load_manifest(hybrid) == load_manifest(SECOND)


@pytest.mark.parametrize("text", [SECOND, THIRD])
@pytest.mark.parametrize("generation", ["2", "3"])
def test_written_and_read_again(text: str, generation: str) -> None:
    found = load_manifest(text)
    written = dump_manifest(found, generation="3" if generation == "3" else "2")
    assert load_manifest(written) == found
    is_third = generation == "3"
    assert ("enforcement_point:" in written) is is_third
    assert ("step_type" in written) is not is_third
    assert written.startswith("# SPDX-License-Identifier: Apache-2.0\n") is (text == SECOND)


def test_equal_parts_are_written_twice() -> None:
    found = load_manifest(THIRD.replace("environments: [qa]", "environments: [qa, production]"))
    assert "&id" not in dump_manifest(found)
    policies = (found.policies[0], found.policies[0])
    again = dump_manifest(type(found)(name="x", version="1", policies=policies))
    assert "&id" not in again
    assert again.count("environments:") == 2


def test_only_what_is_needed_is_written() -> None:
    assert "schema" not in dump_manifest(load_manifest(SECOND), generation="3")
    written = dump_manifest(load_manifest(THIRD))
    assert "\nschema: '3'\n" not in written
    assert written.count("schema: '3'") == 1
    assert "id: calls" in written
    assert "id: '1'" not in written
    third = dump_manifest(load_manifest(THIRD.replace('    schema: "2"\n', "")))
    assert "\nschema: '3'\n" in third


def refused(text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(PolicyInvalid) as found:
        load_manifest(text)
    return [(problem.path, problem.line) for problem in found.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name: "Guard"', "title: x", [("title", 4), ("name", None)]),
        ('version: "1.0.0"', "version: 1.0", [("version", 7)]),
        ('version: "1.0.0"', 'version: ""', [("version", 7)]),
        ("description: |\n  What it guards.", "description: [1]", [("description", 5)]),
        ('version: "1.0.0"', 'version: "1"\nschema: 4', [("schema", 8)]),
        ("severity: high", "severity: severe", [("policies[0].severity", 17)]),
        ("field: purpose", "feild: purpose",
         [("policies[0].params.feild", 15), ("policies[0].params.field", 14)]),
        ('"^.{30,}$"', '"["', [("policies[0].params.pattern", 16)]),
        ('"step.message", "step.resource"', '"step.message", "step.mesage"',
         [("policies[1].params.target_step_types[1]", 27)]),
        ("rule_type: current_is", "rule_type: current_was",
         [("policies[2].params.condition.params.conditions[0].rule_type", 38)]),
        ("taint_verb: GET", "taint_verb: GET\n      taint_verb: POST",
         [("", 25)]),
        ("taint_verb: GET", "? [a, b]\n      : GET", [("", 24)]),
        ("taint_verb: GET", "taint_verb: !!python/name:os.system x", [("", 24)]),
        ("taint_verb: GET", "taint_verb: .nan", [("", 24)]),
        ("taint_verb: GET", "taint_verb: &x GET\n      more: *x", [("", 25)]),
        ("taint_verb: GET", "taint_verb: [GET", [("", 25)]),
        ("taint_verb: GET", "<<: {a: 1}", [("policies[1].params.<<", 24)]),
        ('name: "Taint"', 'name: "Taint"\n    id: "0"', [("policies[1].id", 21)]),
        ('  - name: "Taint"\n', '  - 5\n  - name: "Taint"\n', [("policies[1]", 20)]),
    ],
)  # fmt: skip
def test_what_is_refused(old: str, new: str, expected: list[tuple[str, int | None]]) -> None:
    assert old in SECOND
    assert refused(SECOND.replace(old, new, 1)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("", None)]),
        ("# nothing\n", [("", None)]),
        ("just text", [("", None)]),
        ("- a\n", [("", None)]),
        ("a: b\n---\nc: d\n", [("", 2)]),
        ("name: x\nversion: '1'\n", [("policies", None)]),
        ("name: x\nversion: '1'\npolicies: []\n", [("policies", 3)]),
        ("name: x\nversion: '1'\npolicies: {a: 1}\n", [("policies", 3)]),
        ("a: " + "[" * 60 + "]" * 60, [("", 1)]),
        ("name: \x07", [("", 1)]),
        ("x" * 1_000_001, [("", None)]),
        ("name: x\nversion: '1'\npolicies: [" + "1, " * 1001 + "]\n", [("policies", 3)]),
    ],
)
def test_what_is_no_manifest(text: str, expected: list[tuple[str, int | None]]) -> None:
    assert refused(text) == expected
