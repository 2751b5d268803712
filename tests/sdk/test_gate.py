"""Policies before the step: block, approval, warning, and no answer."""

from typing import Any

import pytest

from muster.sdk import ApprovalRequired, Decision, PlatformUnavailable, StepBlocked
from tests.sdk.conftest import Agent, Person
from tests.sdk.served import Served

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
NEEDS_PERSON = {
    "name": "Ask a person",
    "rule_type": "step_requires_gate",
    "params": {"target_step_types": ["step.message"], "gate_check_type": "human_approval"},
}


def test_block(agent: Agent, people: Person) -> None:
    policy = people.forbid("step.exec", "block")
    muster = agent()
    done: list[str] = []
    with muster.task(id="t-1") as task:
        with pytest.raises(StepBlocked) as caught, task.step("step.exec", "delete", gate=True):
            done.append("delete")
        with task.step("step.self", "note", verb="POST", gate=True) as step:
            done.append("note")
            assert step.decision is not None
            assert step.decision.action == "allow"
        with task.step("step.exec", "not asked"):
            done.append("not asked")
    assert muster.flush()
    assert done == ["note", "not asked"]
    assert caught.value.policies == (policy["name"],)
    assert caught.value.decision.risk_score == 0.75
    assert str(caught.value) == "delete: blocked by No step.exec"
    steps = people.steps("t-1")
    assert [(s["step_name"], s["status"]) for s in steps[1:-1]] == [
        ("delete", "blocked"),
        ("note", "ok"),
        ("not asked", "ok"),
    ]
    assert steps[1]["properties"]["gate"]["policies"][0]["policy_id"] == policy["id"]
    assert "gate" not in steps[2]["properties"]
    assert muster.health.blocked == 1
    # The attempt, and the step that nobody was asked about.
    assert len(task.incidents) == 2

    with pytest.raises(StepBlocked), muster.task(id="t-2"), muster.step(gate=True):
        done.append("never")
    with pytest.raises(StepBlocked), muster.step(name="alone", gate=True):
        done.append("never")
    assert muster.flush()
    assert [s["kind"] for s in people.steps("t-2")] == ["task.start", "step.exec", "task.end"]
    assert people.status("t-2") == "failed"
    assert "never" not in done


async def test_block_in_coroutines(agent: Agent, people: Person) -> None:
    people.forbid("step.exec", "block")
    muster = agent()
    with pytest.raises(StepBlocked):
        async with muster.task(id="t-1") as task, task.step("step.exec", "delete", gate=True):
            raise AssertionError
    with pytest.raises(StepBlocked):
        async with muster.step(name="alone", gate=True):
            raise AssertionError
    assert await muster.aflush()
    assert [s["status"] for s in people.steps("t-1")] == ["ok", "blocked", "blocked"]


def test_the_past_counts(agent: Agent, people: Person) -> None:
    people.forbid("step.exec", "block", params={"step_type": "step.exec", "max_steps": 2})
    muster = agent(interval_s=60.0)  # nothing is sent by itself before the gate asks
    done = 0
    with muster.task(id="t-1") as task:
        for _ in range(2):
            with task.step("step.exec", "work", gate=True):
                done += 1
        with pytest.raises(StepBlocked), task.step("step.exec", "work", gate=True):
            done += 1
    assert done == 2


def test_warn(agent: Agent, people: Person, caplog: pytest.LogCaptureFixture) -> None:
    people.forbid("step.exec", "warn")
    muster = agent()
    with muster.task(id="t-1") as task, task.step("step.exec", "look", gate=True) as step:
        step.output = 1
    assert muster.flush()
    assert people.steps("t-1")[1]["properties"]["gate"]["action"] == "warn"
    assert people.steps("t-1")[1]["status"] == "ok"
    assert "policies warn: No step.exec" in caplog.text
    assert muster.health.warned == 1


def test_approval(agent: Agent, people: Person, caplog: pytest.LogCaptureFixture) -> None:
    people.forbid("step.message", "require_approval", **NEEDS_PERSON)
    said: list[Any] = []
    sent: list[str] = []

    def send(**fields: Any) -> None:
        muster = agent(**fields)
        with muster.task() as task:
            with task.step("step.message", "send", verb="POST", input={"to": "a"}, gate=True):
                sent.append(task.id)
            # The yes stands in the record, so the same is not asked again.
            with task.step("step.message", "send more", verb="POST", gate=True) as step:
                assert step.decision is not None
                assert step.decision.action == "allow"
        assert muster.flush()

    def yes(step: Any, decision: Decision) -> bool:
        said.append((step["step_name"], step["input"], decision.names))
        return True

    def broken(step: Any, decision: Decision) -> bool:
        raise OSError("nobody there")

    async def later(step: Any, decision: Decision) -> bool:
        return True

    for approve in (None, lambda *_: False, broken, later, lambda *_: "yes"):
        with pytest.raises(ApprovalRequired, match="send: needs an approval by Ask a person"):
            send(approve=approve)
    assert sent == []
    assert "approve failed" in caplog.text
    send(approve=yes)
    assert said == [("send", {"to": "a"}, ("Ask a person",))]
    steps = people.steps(sent[0])
    assert [s["kind"] for s in steps[1:-1]] == ["step.gate", "step.message", "step.message"]


async def test_approval_in_coroutines(agent: Agent, people: Person) -> None:
    people.forbid("step.message", "require_approval", **NEEDS_PERSON)

    async def later(step: Any, decision: Decision) -> bool:
        return True

    async def broken(step: Any, decision: Decision) -> bool:
        raise OSError("nobody there")

    done = 0
    for approve in (later, broken, None, lambda *_: True):
        muster = agent(approve=approve)
        try:
            step = muster.step("step.message", "send", verb="POST", gate=True)
            async with muster.task(), step:
                done += 1
        except ApprovalRequired:
            assert approve in {broken, None}
    assert done == 2


def test_no_answer(
    served: Served, agent: Agent, people: Person, caplog: pytest.LogCaptureFixture
) -> None:
    people.forbid("step.exec", "block")
    muster = agent(gate_timeout_s=10.0)
    muster.register()
    served.faults.only = "/gate/evaluate"
    # One that is away for a moment is asked again.
    served.faults.answer = [(503, {}, b"")]
    with muster.task() as task, pytest.raises(StepBlocked):
        task.step("step.exec", "a", gate=True).begin()
    # What the platform cannot judge, or says in words nobody knows, goes on.
    for status, body in ((409, b'{"error":"policy_unreadable"}'), (200, b"{}")):
        served.faults.answer = [(status, JSON, body)]
        with muster.task() as task, task.step("step.exec", "b", gate=True) as step:
            assert step.decision == Decision(action="allow", is_judged=False)
    assert muster.health.unjudged == 2
    hasty = agent(gate_timeout_s=0.3)
    served.faults.answer = [(503, {}, b"")] * 200
    with hasty.task() as task:
        with task.step("step.exec", "c", gate=True) as step:
            assert step.properties["gate"] == {"action": "allow", "judged": False}
        # For a while nobody is asked, so that the agent is not held up at each step.
        asked = len(served.faults.seen)
        with task.step("step.exec", "d", gate=True):
            assert len(served.faults.seen) == asked
    assert hasty.health.unjudged == 2
    assert "without a decision" in caplog.text

    strict = agent(gate_timeout_s=3.0, on_outage="closed")
    for answer in ((409, JSON, b'{"error":"policy_unreadable"}'), (503, {}, b"")):
        with strict.task() as task:
            served.faults.answer = [answer] * 200
            with pytest.raises(PlatformUnavailable):
                task.step("step.exec", "d", gate=True).begin()
    served.faults.answer = []


def test_a_deactivated_agent_is_stopped(agent: Agent, people: Person) -> None:
    """By whoever paused it: that the platform judges nothing of it is no outage."""
    muster = agent()
    muster.register()
    path = f"/agents/{people.get('/agents')['items'][0]['id']}"
    assert people.client.delete(path).status_code == 204
    begun_later = agent(gate_timeout_s=0.3)
    for one in (muster, begun_later):
        with one.task() as task, pytest.raises(StepBlocked) as caught:
            task.step("step.exec", "delete", gate=True).begin()
        assert "deactivated" in str(caught.value)
        assert one.health.unjudged == 0
    people.post(f"{path}/activate")
    for one in (muster, begun_later):
        assert one.flush(30)
        with one.task() as task, task.step("step.exec", "delete", gate=True) as step:
            assert step.decision is not None
            assert step.decision.is_judged


def test_a_queue_that_cannot_be_emptied_is_no_past(served: Served, agent: Agent) -> None:
    muster = agent(gate_timeout_s=0.2)
    muster.register()
    served.faults.only = "/logs/batch"
    served.faults.hold.clear()
    with muster.task() as task, task.step("step.exec", "a", gate=True) as step:
        assert step.decision is not None
        assert not step.decision.is_judged
    served.faults.hold.set()


def test_a_decision_without_a_policy() -> None:
    assert Decision.read({"action": "block"}).reason == "the platform"
