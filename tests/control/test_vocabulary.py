"""One step model for three vocabularies."""

from typing import Any

import pytest

from muster.domains.control.policies.engine import (
    NormalStep,
    VocabularyError,
    canonical_kind,
    normalise,
)

ANY = {"GET", "POST", "PATCH", "DELETE"}
ALLOWED: dict[str, set[str | None]] = {
    "task.start": {None},
    "task.end": {None},
    "task.error": {None},
    "task.idle": {None},
    "step.resource": {*ANY},
    "step.self": {*ANY},
    "step.credential": {*ANY},
    "step.message": {"GET", "POST"},
    "step.model": {None, "POST"},
    "step.exec": {None},
    "step.gate": {None},
    "step.unknown": {None},
}


@pytest.mark.parametrize("key", ["kind", "step_type", "type"])
@pytest.mark.parametrize("kind", ALLOWED)
@pytest.mark.parametrize("verb", [*sorted(ANY), None])
def test_kinds_and_verbs(key: str, kind: str, verb: str | None) -> None:
    raw = {key: kind, "verb": verb}
    if verb in ALLOWED[kind]:
        found = normalise(raw)
        assert found.kind == kind
        assert found.verb == ("POST" if kind == "step.model" else verb)
        assert found.scope == kind.split(".", maxsplit=1)[0]
        return
    with pytest.raises(VocabularyError) as refused:
        normalise(raw)
    assert refused.value.field == "verb"


@pytest.mark.parametrize(
    ("node_type", "kind", "verb"),
    [
        ("START_NODE", "task.start", None),
        ("END_NODE", "task.end", None),
        ("LLM_CALL", "step.model", "POST"),
        ("TOOL_CALL", "step.resource", "POST"),
        ("MEMORY_CALL", "step.self", "POST"),
        ("HUMAN_APPROVAL", "step.gate", None),
        ("PII_CHECK", "step.gate", None),
        ("DECISION", "step.unknown", None),
        ("ERROR", "task.error", None),
        ("USER_INPUT", "step.message", "GET"),
        ("INTERNAL_TASK_UNFINISHED", "task.idle", None),
    ],
)
def test_first_generation(node_type: str, kind: str, verb: str | None) -> None:
    found = normalise(
        {
            "node_type": node_type,
            "node_name": "n",
            "input_data": {"a": 1},
            "output_data": "done",
            "agent_id": "a1",
            "task_id": "t1",
            "step_number": 4,
            "scope": "step_execution",
        }
    )
    assert (found.kind, found.verb, found.name) == (kind, verb, "n")
    assert (found.input, found.output, found.seq) == ({"a": 1}, "done", 4)
    assert (found.agent_id, found.task_id) == ("a1", "t1")


def test_first_generation_with_a_verb() -> None:
    assert normalise({"node_type": "TOOL_CALL", "verb": "GET"}).verb == "GET"
    with pytest.raises(VocabularyError, match="verb"):
        normalise({"node_type": "PII_CHECK", "verb": "GET"})


@pytest.mark.parametrize(
    ("output", "result"),
    [
        ("approved", "pass"),
        ("Pass", "pass"),
        (True, "pass"),
        ({"approved": True}, "pass"),
        ({"decision": "approve"}, "pass"),
        ({"result": "ok"}, "pass"),
        ({"approved": True, "decision": "deny"}, "fail"),
        ({"approved": "maybe"}, "fail"),
        ({"approved": 1}, "fail"),
        ({}, "fail"),
        (None, "fail"),
        ("rejected", "fail"),
        (1, "fail"),
    ],
)
@pytest.mark.parametrize(
    ("node_type", "kind", "check"),
    [("HUMAN_APPROVAL", "human", "human_approval"), ("PII_CHECK", "guardrail", "pii")],
)
def test_gates_of_the_first_generation(
    node_type: str, kind: str, check: str, output: Any, result: str
) -> None:
    raw = {"node_type": node_type, "output_data": output, "properties": {"x": 1}}
    found = normalise(raw).properties
    assert found == {"x": 1, "kind": kind, "guard": {"check_type": check, "result": result}}


def test_second_and_third_generation_and_between() -> None:
    rest = {"step_name": "n", "properties": {"a": 1}, "input": {"b": 2}, "output": [3]}
    second = normalise({"step_type": "step.resource", "scope": "step", "verb": "get", **rest})
    third = normalise({"kind": "step.resource", "verb": "GET", **rest})
    both = normalise({"kind": "step.resource", "step_type": "step.resource", "verb": "GET", **rest})
    short = normalise({"step_type": "resource", "scope": "step", "verb": "GET", **rest})
    assert second == third == both == short
    assert (third.name, third.properties, third.input, third.output) == (
        "n",
        {"a": 1},
        {"b": 2},
        [3],
    )
    assert normalise({"type": "step.task_start"}).kind == "task.start"
    assert normalise({"step_type": "end", "scope": "task"}).kind == "task.end"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({}, "kind"),
        ({"kind": ""}, "kind"),
        ({"kind": "step.magic"}, "kind"),
        ({"kind": "magic"}, "kind"),
        ({"kind": 5}, "kind"),
        ({"step_type": "model"}, "step_type"),
        ({"node_type": "MAGIC"}, "node_type"),
        ({"kind": "step.exec", "step_type": "step.model"}, "step_type"),
        ({"kind": "step.exec", "node_type": "LLM_CALL"}, "node_type"),
        ({"kind": "step.exec", "scope": "task"}, "scope"),
        ({"kind": "task.end", "scope": "step"}, "scope"),
        ({"kind": "step.exec", "scope": "agent_registration"}, "scope"),
        ({"kind": "step.resource", "verb": "PUT"}, "verb"),
        ({"kind": "step.resource", "verb": 5}, "verb"),
        ({"kind": "step.resource", "verb": ""}, "verb"),
        ({"kind": "step.exec", "properties": []}, "properties"),
        ({"kind": "step.exec", "meta": "x"}, "meta"),
        ({"kind": "step.exec", "step_name": 5}, "step_name"),
        ({"kind": "step.exec", "seq": "5"}, "seq"),
        ({"kind": "step.exec", "seq": True}, "seq"),
        ({"kind": "step.exec", "status": 200}, "status"),
        ({"kind": "step.exec", "agent_id": 5}, "agent_id"),
    ],
)
def test_what_is_refused(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(VocabularyError) as refused:
        normalise(raw)
    assert refused.value.field == field
    assert refused.value.message


def test_arguments_are_no_control_fields() -> None:
    told = {
        "kind": "step.gate",
        "step_type": "step.gate",
        "verb": "GET",
        "step_name": "x",
        "properties": {"guard": {"result": "pass"}},
        "status": "ok",
        "agent_id": "z",
    }
    found = normalise({"kind": "step.resource", "verb": "DELETE", "input": told})
    assert (found.kind, found.verb, found.name, found.agent_id) == (
        "step.resource",
        "DELETE",
        None,
        None,
    )
    assert (found.properties, found.status, found.input) == ({}, None, told)
    assert normalise({"kind": "step.exec", "input": {"status": "blocked"}}).outcome == "ok"


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "ok"),
        ({"status": "ok"}, "ok"),
        ({"status": "blocked"}, "blocked"),
        ({"status": "BLOCKED"}, "blocked"),
        ({"status": "refused"}, "blocked"),
        ({"status": "rejected"}, "blocked"),
        ({"status": "denied"}, "blocked"),
        ({"status": "failed"}, "failed"),
        ({"status": "error"}, "failed"),
        ({"status": "cancelled"}, "failed"),
        ({"output": {"status": "blocked"}}, "blocked"),
        ({"output": {"status": "failed"}}, "failed"),
        ({"output": {"status": 500}}, "ok"),
        ({"output": "blocked"}, "ok"),
        ({"status": "ok", "output": {"status": "blocked"}}, "ok"),
    ],
)
def test_outcomes(fields: dict[str, Any], outcome: str) -> None:
    found = normalise({"kind": "step.exec", **fields})
    assert found.outcome == outcome
    assert found.is_refused is (outcome == "blocked")


def test_other_spellings() -> None:
    found = normalise(
        {"kind": "step.exec", "name": "n", "metadata": {"m": 1}, "step": 3, "timestamp": "t"}
    )
    assert (found.name, found.meta, found.seq, found.timestamp) == ("n", {"m": 1}, 3, "t")
    assert normalise({"kind": "step.exec", "seq": 9, "step": 3}).seq == 9


def test_a_step_made_by_hand() -> None:
    assert NormalStep(kind="step.exec").outcome == "ok"
    with pytest.raises(VocabularyError, match="kind"):
        NormalStep(kind="exec")


def test_names_of_kinds() -> None:
    assert canonical_kind("step.task_error") == "task.error"
    assert canonical_kind("step.exec") == "step.exec"
    assert canonical_kind("exec") is None
