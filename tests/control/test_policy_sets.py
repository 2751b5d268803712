"""All policies together: who is judged by what, in which order, and what comes of it."""

from typing import Any

import pytest

from muster.domains.control.policies.engine import Policy, PolicySet, Verdict, simulate
from tests.control.rules_setting import context, gate, policy, step, trace

NEVER = {"step_type": "step.exec", "max_steps": 0}


def forbids(**fields: Any) -> Policy:
    return policy("execution_max_steps", NEVER, **fields)


def verdict(*policies: Policy, text: str = "exec", **facts: Any) -> Verdict:
    return PolicySet(policies).evaluate("step_execution", step(text), None, context(**facts))


@pytest.mark.parametrize(
    ("severity", "enforcement", "action", "score"),
    [
        ("low", None, "warn", 0.25),
        ("medium", None, "warn", 0.5),
        ("high", None, "warn", 0.75),
        ("critical", None, "block", 1.0),
        ("low", "block", "block", 0.25),
        ("critical", "warn", "warn", 1.0),
        ("critical", "require_approval", "require_approval", 1.0),
        ("high", "require_approval", "require_approval", 0.75),
    ],
)
def test_severity_and_enforcement(
    severity: str, enforcement: str | None, action: str, score: float
) -> None:
    found = verdict(forbids(severity=severity, enforcement=enforcement))
    assert (found.action, found.risk_score) == (action, score)
    assert found.results[0].enforcement == action
    passed = verdict(forbids(severity=severity, enforcement=enforcement), text="model")
    assert (passed.action, passed.risk_score, passed.violations) == ("allow", 0.0, [])


def test_a_result() -> None:
    found = verdict(forbids(severity="high", id="p7", name="No code"))
    (result,) = found.results
    assert found.violations == [result]
    assert (result.policy_id, result.name, result.severity) == ("p7", "No code", "high")
    assert (result.rule_type, result.violated, result.enforcement) == (
        "execution_max_steps",
        True,
        "warn",
    )
    assert result.violation_details == {
        "message": "more than 0 such steps",
        "count": 1,
        "max_steps": 0,
    }
    assert verdict(forbids(), text="model").results[0].violation_details is None


@pytest.mark.parametrize(
    ("enforcements", "action"),
    [
        (["warn", "require_approval"], "require_approval"),
        (["require_approval", "block"], "block"),
        (["block", "warn"], "block"),
        (["warn", "warn"], "warn"),
    ],
)
def test_the_hardest_wins_and_all_are_judged(enforcements: list[str], action: str) -> None:
    policies = [
        forbids(id=str(i), enforcement=e, severity=s)
        for i, (e, s) in enumerate(zip(enforcements, ("medium", "low"), strict=True))
    ]
    found = verdict(*policies, policy("current_is", {"step_type": "step.exec"}, id="ok"))
    assert found.action == action
    assert found.risk_score == 0.5
    assert [result.violated for result in found.results] == [True, True, False]
    assert [result.policy_id for result in found.violations] == ["0", "1"]


@pytest.mark.parametrize(
    ("fields", "facts", "applies"),
    [
        ({}, {}, True),
        ({"enabled": False}, {}, False),
        ({"agent_id": "agent-1"}, {}, True),
        ({"agent_id": "agent-2"}, {}, False),
        ({"environment": "qa"}, {"environment": "qa"}, True),
        ({"environment": "qa"}, {"environment": "production"}, False),
        ({"environments": ["qa", "production"]}, {"environment": "production"}, True),
        ({"environment": "qa"}, {}, True),
        ({"environment": "qa", "risk_classification": "high"},
         {"environment": "qa", "risk_classification": "limited"}, False),
        ({"environment": "qa", "risk_classification": "high"},
         {"environment": "qa", "risk_classification": "high"}, True),
        ({"enabled": False, "agent_id": "agent-1"}, {}, False),
    ],
)  # fmt: skip
def test_targets(fields: dict[str, Any], facts: dict[str, Any], *, applies: bool) -> None:
    for schema in ("2", "3"):
        found = verdict(forbids(schema=schema, **fields), **facts)
        assert len(found.results) == applies
        assert found.action == ("block" if applies else "allow")


CLASSES = ["unclassified", "minimal", "limited", "high", "unacceptable"]


@pytest.mark.parametrize("mine", [None, *CLASSES])
@pytest.mark.parametrize("its", [None, *CLASSES, "homemade"])
def test_classes(mine: str | None, its: str | None) -> None:
    found = verdict(forbids(risk_classification=mine), risk_classification=its)
    assert bool(found.results) is (mine is None or its is None or mine == its)
    third = verdict(forbids(risk_classification=mine, schema="3"), risk_classification=its)
    unknown = its in {None, "unclassified", "homemade"}
    above = unknown or mine is None or CLASSES.index(str(its)) >= CLASSES.index(mine)
    assert bool(third.results) is above


def order(*policies: Policy, **facts: Any) -> list[str]:
    return [result.policy_id for result in verdict(*policies, **facts).results]


def test_order() -> None:
    policies = [
        forbids(id="10"),
        forbids(id="9", risk_classification="high"),
        forbids(id="2"),
        forbids(id="1", risk_classification="high"),
    ]
    assert order(*policies) == ["10", "9", "2", "1"]
    assert order(*policies, risk_classification="high") == ["9", "1", "10", "2"]
    third = [forbids(id=i, name=n, schema="3") for i, n in (("10", "a"), ("b", "a"), ("9", "z"),
                                                            ("a", "z"), ("9", "y"))]  # fmt: skip
    found = verdict(*third)
    assert [(r.policy_id, r.name) for r in found.results] == [
        ("9", "y"), ("9", "z"), ("10", "a"), ("a", "z"), ("b", "a"),
    ]  # fmt: skip
    assert order(*third[:1], *policies[:1])[0] == "10"
    assert order(forbids(id="1", schema="3"), forbids(id="5")) == ["5", "1"]


def test_points_are_apart() -> None:
    at_step = forbids(id="s")
    at_end = forbids(id="t", scope="task_execution")
    named = policy(
        "field_not_empty", {"field": "name"}, id="r", scope="agent_registration", severity="low"
    )
    policies = PolicySet([at_step, at_end, named])
    memory = policies.memory(trace("exec"))
    now = context()
    found = policies.evaluate("step_execution", step("exec"), memory, now)
    assert [result.policy_id for result in found.results] == ["s"]
    found = policies.evaluate("task_execution", step("end"), memory, now)
    assert [(r.policy_id, r.violated) for r in found.results] == [("t", True)]
    assert (found.action, found.risk_score) == ("warn", 1.0)
    found = policies.evaluate("agent_registration", {"name": ""}, None, now)
    assert [(r.policy_id, r.violated) for r in found.results] == [("r", True)]
    found = policies.evaluate("agent_registration", {"name": "x"}, None, now)
    assert found.action == "allow"


def test_agents_do_not_share_plans() -> None:
    policies = PolicySet([forbids(agent_id="agent-300", environment="qa")])
    for number in range(600):
        facts = context(agent_id=f"agent-{number}", environment="qa")
        found = policies.evaluate("step_execution", step("exec"), None, facts)
        assert bool(found.results) is (number == 300)
    assert len(policies._plans) <= 256
    elsewhere = context(agent_id="agent-300", environment="production")
    assert not policies.evaluate("step_execution", step("exec"), None, elsewhere).results


@pytest.mark.parametrize("schema", ["2", "3"])
def test_facts_of_one_agent_do_not_share_plans(schema: str) -> None:
    policies = PolicySet(
        [
            forbids(id="q", environment="qa", schema=schema),
            forbids(id="h", risk_classification="high", schema=schema),
        ]
    )
    for environment, risk_class, expected in (
        ("qa", "high", ["h", "q"]),
        ("qa", "limited", ["q"]),
        ("staging", "high", ["h"]),
        ("staging", "limited", []),
        ("qa", "high", ["h", "q"]),
    ):
        facts = context(environment=environment, risk_classification=risk_class)
        found = policies.evaluate("step_execution", step("exec"), None, facts)
        assert [result.policy_id for result in found.results] == expected


def test_plans_are_kept_up_to_a_number() -> None:
    policies = PolicySet([forbids()])

    def plans_after(number: int) -> list[Any]:
        facts = context(agent_id=f"agent-{number}")
        policies.evaluate("step_execution", step("exec"), None, facts)
        return list(policies._plans.values())

    (first,) = plans_after(0)
    (again,) = plans_after(0)
    assert again is first
    assert [len(plans_after(number)) for number in range(1, 258)] == [*range(2, 257), 1, 2]


@pytest.mark.parametrize(
    ("point", "subject"),
    [
        ("step", step("exec")),
        ("step_execution", {"name": "x"}),
        ("task_execution", {"name": "x"}),
        ("agent_registration", step("exec")),
    ],
)
def test_what_is_judged_where(point: Any, subject: Any) -> None:
    with pytest.raises(ValueError, match=r"point must be|a profile is judged at"):
        PolicySet([]).evaluate(point, subject, None, context())


def test_no_policies() -> None:
    found = verdict()
    assert (found.action, found.risk_score, found.results) == ("allow", 0.0, [])


def test_simulation() -> None:
    gated = policy("step_requires_gate", {"target_step_types": ["step.exec"]}, id="g")
    whole = policy(
        "history_contains", {"step_type": "step.model"}, id="w", scope="task_execution",
        severity="medium",
    )  # fmt: skip
    assert simulate([gated, whole], [], step("exec"), context()).action == "block"
    found = simulate(PolicySet([gated, whole]), [gate()], step("exec"), context())
    assert [result.policy_id for result in found.results] == ["g"]
    assert found.action == "allow"
    ended = simulate([gated, whole], [gate()], step("end"), context())
    assert [(r.policy_id, r.violated) for r in ended.results] == [("g", False), ("w", True)]
    assert (ended.action, ended.risk_score) == ("warn", 0.5)


def test_a_refused_attempt_does_not_lock_the_task() -> None:
    policies = PolicySet(
        [
            policy("sequence_forbidden", {"forbidden_sequence": ["step.credential", "step.exec"]}),
            policy("max_consecutive_same_type", {"step_type": "step.self", "max_consecutive": 1}),
        ]
    )
    memory = policies.memory(trace("credential self"))
    for text in ("exec", "self"):
        assert policies.evaluate("step_execution", step(text), memory, context()).action == "block"
        memory.record(step(f"{text}!blocked"))
    for text in ("gate", "model", "resource:POST", "credential", "end"):
        found = policies.evaluate("step_execution", step(text), memory, context())
        assert found.action == "allow", text
