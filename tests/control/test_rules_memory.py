"""The memory that is kept step by step agrees with reading the whole history again."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.domains.control.policies.engine import MemoryOutdated, NormalStep, PolicySet
from muster.domains.control.policies.engine.matching import Matcher
from muster.domains.control.policies.engine.memory import Binder, Ledger, TaskMemory
from tests.control.rules_setting import NOON, context, gate, policy, step, trace

Naive = Callable[[Sequence[NormalStep], NormalStep], bool]
OK = ("ok",)


def matching(history: Sequence[NormalStep], *kinds: str, only_ok: bool = False) -> list[int]:
    return [
        index
        for index, past in enumerate(history)
        if past.kind in kinds and (past.outcome == "ok" or not only_ok)
    ]


def happened(history: Sequence[NormalStep]) -> list[NormalStep]:
    return [past for past in history if past.outcome != "blocked"]


def directly(third: bool) -> Naive:
    def naive(history: Sequence[NormalStep], now: NormalStep) -> bool:
        seen = [past for past in history if past.outcome == "ok" or not third]
        return not seen or seen[-1].kind != "step.gate"

    return naive


def predecessor(third: bool) -> Naive:
    return lambda history, now: (
        now.kind == "step.resource" and not matching(history, "step.gate", only_ok=third)
    )


def between(third: bool) -> Naive:
    def naive(history: Sequence[NormalStep], now: NormalStep) -> bool:
        if now.kind != "step.resource":
            return False
        for past in reversed(history):
            if past.kind == "step.gate" and (past.outcome == "ok" or not third):
                return False
            if past.kind in {"step.model", "step.exec"}:
                return True
        return True

    return naive


def dedicated(third: bool) -> Naive:
    def naive(history: Sequence[NormalStep], now: NormalStep) -> bool:
        if now.kind != "step.resource" or now.verb != "POST":
            return False
        gates = matching(history, "step.gate", only_ok=third)
        return not gates or bool(matching(history[gates[-1] :], "step.resource"))

    return naive


def gated(history: Sequence[NormalStep], now: NormalStep) -> bool:
    return now.kind == "step.resource" and not any(
        past.kind == "step.gate" and past.properties.get("guard") == {"result": "pass"}
        for past in history
    )


def gated_lately(history: Sequence[NormalStep], now: NormalStep) -> bool:
    return now.kind == "step.resource" and not any(
        past.kind == "step.gate"
        and past.outcome == "ok"
        and isinstance(past.output, dict)
        and past.output.get("decision") == "pass"
        for past in history[-3:]
    )


def not_after(history: Sequence[NormalStep], now: NormalStep) -> bool:
    return now.kind == "step.message" and bool(matching(history, "step.exec"))


def sequence(history: Sequence[NormalStep], now: NormalStep) -> bool:
    if now.kind in {"step.gate", "task.end"}:
        return False
    rest = iter([*happened(history), now])
    wanted = ("step.exec", "step.model", "step.exec")
    return all(any(past.kind == kind for past in rest) for kind in wanted)


def contains(history: Sequence[NormalStep], now: NormalStep) -> bool:
    return not any(past.kind == "step.resource" and past.verb == "POST" for past in history)


def contains_effective(history: Sequence[NormalStep], now: NormalStep) -> bool:
    return not matching(history, "step.exec", only_ok=True)


def tainted(history: Sequence[NormalStep], now: NormalStep) -> bool:
    return (
        now.kind == "step.resource"
        and now.verb != "GET"
        and any(past.kind == "step.resource" and past.verb == "GET" for past in history)
    )


def most(history: Sequence[NormalStep], now: NormalStep) -> bool:
    return now.kind == "step.model" and len(matching(history, "step.model")) + 1 > 3


def runs(history: Sequence[NormalStep], now: NormalStep) -> bool:
    if now.kind in {"step.gate", "task.end"}:
        return False
    longest = current = 0
    for past in [*happened(history), now]:
        current = current + 1 if past.kind == "step.exec" else 0
        longest = max(longest, current)
    return longest > 2


def spent(history: Sequence[NormalStep]) -> float:
    return sum(past.properties.get("t", 0) for past in history if past.kind == "step.model")


def budget_second(history: Sequence[NormalStep], now: NormalStep) -> bool:
    free = now.kind == "step.gate" or now.kind.startswith("task.")
    return not free and spent(history) > 12


def budget_third(history: Sequence[NormalStep], now: NormalStep) -> bool:
    return now.kind == "step.model" and spent([*history, now]) > 12


def successor(history: Sequence[NormalStep], now: NormalStep) -> bool:
    seen = happened(history)
    return (
        bool(seen)
        and seen[-1].kind == "step.model"
        and seen[-1].properties.get("t", 0) > 4
        and now.kind != "step.gate"
    )


REQUIRED = {"required_step_type": "step.gate"}
TARGET = {"target_step_types": ["step.resource"]}
BETWEEN = {**REQUIRED, **TARGET, "forbidden_intervening": ["step.model", "step.exec"]}
BUDGET = {"step_type": "step.model", "property_path": "t", "budget": 12}
CASES: list[tuple[str, str, dict[str, Any], Naive]] = [
    ("2", "step_directly_preceded_by", REQUIRED, directly(False)),
    ("3", "step_directly_preceded_by", REQUIRED, directly(True)),
    ("2", "step_requires_predecessor", {**REQUIRED, **TARGET}, predecessor(False)),
    ("3", "step_requires_predecessor", {**REQUIRED, **TARGET}, predecessor(True)),
    ("2", "step_preceded_by_without_intervening", BETWEEN, between(False)),
    ("3", "step_preceded_by_without_intervening", BETWEEN, between(True)),
    ("2", "step_requires_dedicated_predecessor", {**REQUIRED, **TARGET, "target_verb": "POST"},
     dedicated(False)),
    ("3", "step_requires_dedicated_predecessor", {**REQUIRED, **TARGET, "target_verb": "POST"},
     dedicated(True)),
    ("2", "step_requires_gate", TARGET, gated),
    ("3", "step_requires_gate", {**TARGET, "max_steps_since_gate": 2}, gated_lately),
    ("2", "step_not_after", {"target_step_types": ["step.message"],
                             "forbidden_predecessor_step_types": ["step.exec"]}, not_after),
    ("2", "sequence_forbidden", {"forbidden_sequence": ["step.exec", "step.model", "step.exec"]},
     sequence),
    ("2", "history_contains", {"step_type": "step.resource", "verb": "POST"}, contains),
    ("3", "history_contains", {"kind": "step.exec", "count_attempts": False}, contains_effective),
    ("2", "tainted_path_block", {"taint_step_type": "step.resource", "taint_verb": "GET",
                                 **TARGET, "target_verb": "WRITE"}, tainted),
    ("2", "execution_max_steps", {"step_type": "step.model", "max_steps": 3}, most),
    ("2", "max_consecutive_same_type", {"step_type": "step.exec", "max_consecutive": 2}, runs),
    ("2", "usage_budget", BUDGET, budget_second),
    ("3", "usage_budget", BUDGET, budget_third),
    ("2", "conditional_successor_required",
     {"trigger_step_types": ["step.model"], "required_step_type": "step.gate",
      "trigger_condition": {"field": "properties.t", "op": "above", "value": 4}}, successor),
]  # fmt: skip
POLICIES = PolicySet(
    policy(rule, params, schema=schema, id=str(index))
    for index, (schema, rule, params, _) in enumerate(CASES)
)

STATUS = st.sampled_from([None, None, None, "blocked", "failed"])
STEPS = st.one_of(
    st.builds(
        lambda text, status: step(text, status=status),
        st.sampled_from(
            ["exec", "resource:GET", "resource:POST", "resource:DELETE", "message", "end"]
        ),
        STATUS,
    ),
    st.builds(
        lambda result, decision, status: gate(result, decision=decision, status=status),
        st.sampled_from(["pass", "fail"]),
        st.sampled_from(["pass", "deny"]),
        STATUS,
    ),
    st.builds(
        lambda tokens, status: step("model", properties={"t": tokens}, status=status),
        st.integers(0, 9),
        STATUS,
    ),
)


@settings(max_examples=120, deadline=None)
@given(history=st.lists(STEPS, max_size=14), last=STEPS)
def test_agrees_with_reading_the_whole_history(history: list[NormalStep], last: NormalStep) -> None:
    memory = POLICIES.memory()
    for index, now in enumerate([*history, last]):
        verdict = POLICIES.evaluate("step_execution", now, memory, context())
        results = {int(result.policy_id): result.violated for result in verdict.results}
        for number, (schema, rule, _, naive) in enumerate(CASES):
            expected = naive([*history, last][:index], now)
            assert results[number] is expected, (schema, rule, index)
        memory.record(now)


def test_judging_records_nothing() -> None:
    memory = POLICIES.memory(trace("model exec"))
    before = (memory.count, memory.slots.copy(), dict(memory.longest_runs), memory.run_length)
    for intended in trace("exec gate resource:POST end"):
        first = POLICIES.evaluate("step_execution", intended, memory, context())
        assert POLICIES.evaluate("step_execution", intended, memory, context()) == first
    after = (memory.count, memory.slots.copy(), dict(memory.longest_runs), memory.run_length)
    assert after == before


def test_memories_are_apart() -> None:
    one, other = POLICIES.memory(trace("exec exec")), POLICIES.memory()
    assert (one.count, other.count) == (2, 0)
    assert one.slots != other.slots
    assert other.slots == POLICIES.memory().slots


def test_changed_policies_need_a_replay() -> None:
    history = trace("resource:GET model")
    memory = POLICIES.memory(history)
    changed = PolicySet([policy("step_not_after", {
        "target_step_types": ["step.exec"], "forbidden_predecessor_step_types": ["step.resource"],
    })])  # fmt: skip
    with pytest.raises(MemoryOutdated):
        changed.evaluate("step_execution", step("exec"), memory, context())
    again = changed.memory(history)
    assert changed.evaluate("step_execution", step("exec"), again, context()).action == "block"


def test_memory_does_not_grow() -> None:
    memory = POLICIES.memory(trace("model exec resource:POST gate message:GET"))
    slots = len(memory.slots)
    for _ in range(300):
        memory.replay(trace("model exec resource:POST gate message:GET"))
    assert len(memory.slots) == slots
    assert not hasattr(memory, "__dict__")
    assert len(memory.longest_runs) == 5
    assert memory.count == 1505


def test_equal_wishes_share_a_slot() -> None:
    params = {"step_type": "step.exec", "max_steps": 1}
    many = PolicySet(
        policy("execution_max_steps", {**params, "max_steps": n}, id=str(n)) for n in range(20)
    )
    assert len(many.memory().slots) == 1
    verdict = many.evaluate(
        "step_execution", step("exec"), many.memory(trace("exec exec")), context(now=NOON)
    )
    assert [result.violated for result in verdict.results] == [True] * 3 + [False] * 17


def test_filters_are_equal_in_any_order() -> None:
    filters = [{"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}]
    many = PolicySet(
        policy("history_contains", {"step_type": "step.exec", "property_filter": found}, id=str(i))
        for i, found in enumerate(filters)
    )
    assert len(many.memory().slots) == 1
    rate = {"step_type": "step.exec", "max_count": 1, "window_minutes": 1}
    limits = PolicySet(
        policy("cross_execution_rate_limit", {**rate, "property_filter": found}, id=str(i))
        for i, found in enumerate(filters)
    )
    assert len(limits.rate_queries) == 1


USED = [
    step("exec", properties={"a": 1, "b": 5}),
    step("exec", properties={"a": 1, "b": 5}),
    step("model", properties={"a": 9}),
]


@pytest.mark.parametrize(
    ("rule", "params", "intended", "expected"),
    [
        (
            "execution_max_steps",
            [{"step_type": "step.exec", "max_steps": 2}, {"step_type": "step.self", "max_steps": 0},
             {"step_type": "step.exec", "max_steps": 2, "step_name": "x"}],
            "exec",
            [True, False, False],
        ),
        (
            "usage_budget",
            [{"step_type": "step.exec", "property_path": "a", "budget": 2},
             {"step_type": "step.exec", "property_path": "b", "budget": 9},
             {"step_type": "step.model", "property_path": "a", "budget": 8}],
            "exec",
            [False, True, True],
        ),
        (
            "history_contains",
            [{"step_type": "step.exec"}, {"step_type": "step.gate"}, {"step_type": "step.model"}],
            "exec",
            [False, True, False],
        ),
        (
            "sequence_forbidden",
            [{"forbidden_sequence": ["step.model", "step.exec"]},
             {"forbidden_sequence": ["step.gate", "step.exec"]},
             {"forbidden_sequence": ["step.exec", "step.model", "step.exec"]}],
            "exec",
            [True, False, True],
        ),
    ],
)  # fmt: skip
def test_different_wishes_are_apart(
    rule: str, params: list[dict[str, Any]], intended: str, expected: list[bool]
) -> None:
    for order in (1, -1):
        numbered = list(enumerate(params))[::order]
        many = PolicySet(policy(rule, found, id=str(index)) for index, found in numbered)
        verdict = many.evaluate("step_execution", step(intended), many.memory(USED), context())
        found = [result.violated for result in verdict.results]
        assert found[::order] == expected


def test_a_wish_may_be_about_any_kind() -> None:
    binder = Binder()
    last, verbs = binder.last(Matcher()), binder.count(Matcher(verbs=frozenset({"POST"})))
    memory = TaskMemory(Ledger(binder)).replay(trace("exec resource:POST message:POST exec"))
    assert (memory.slots[last], memory.slots[verbs]) == (3, 2)
