"""Policies in runs: refused, asked about, warned of, and what the journal says of the past."""

from typing import Any

import pytest

from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, open_approval, spans, start, until

pytestmark = pytest.mark.anyio

ONCE = {
    "name": "Once",
    "rule_type": "execution_max_steps",
    "params": {"step_type": "step.exec", "max_steps": 1},
    "severity": "critical",
    "scope": "step_execution",
}


def calls(*expressions: str) -> Reply:
    return Reply(
        tool_calls=[{"name": "calculator", "arguments": {"expression": e}} for e in expressions]
    )


async def policy(people: People, **fields: Any) -> dict[str, Any]:
    made = await people.editor.post("/policies", json={**ONCE, **fields})
    assert made.status_code == 201, made.text
    return made.json()


async def steps_of(people: People, run_id: str) -> dict[str, dict[str, Any]]:
    return {step["key"]: step for step in await spans(people.viewer, run_id)}


async def incidents(people: People) -> list[dict[str, Any]]:
    return (await people.viewer.get("/incidents")).json()["items"]


async def test_a_blocked_step_is_told_to_the_model(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[calls("1+1"), calls("2+2"), Reply(text="so")])
    made = await policy(people)
    agent = await make_agent(people.editor)
    run_id = await start(people.operator, agent)
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"]) == ("completed", "so")
    steps = await steps_of(people, run_id)
    assert (steps["t1.0"]["step_status"], steps["t2.0"]["step_status"]) == ("ok", "blocked")
    assert steps["t2.0"]["output"]["error"] == "policy_violation"
    assert '"Once"' in steps["t2.0"]["output"]["message"]
    (finding,) = steps["t2.0"]["decision"]["findings"]
    (said,) = finding["details"]["policies"]
    assert (said["policy_id"], said["violated"]) == (made["id"], True)
    (incident,) = await incidents(people)
    assert (incident["run_id"], incident["step_name"]) == (run_id, "calculator")
    assert (incident["action"], incident["count"]) == ("block", 1)


async def test_calls_at_the_same_time_count_for_each_other(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[calls("1+1", "2+2"), Reply(text="so")])
    await policy(people)
    run_id = await start(people.operator, await make_agent(people.editor))
    await until(people.viewer, run_id)
    steps = await steps_of(people, run_id)
    assert sorted(steps[key]["step_status"] for key in ("t1.0", "t1.1")) == ["blocked", "ok"]


async def test_an_approved_call_passes(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="turn", replies=[calls("1+1"), calls("2+2"), Reply(text="so")])
    await policy(people, enforcement="require_approval")
    run_id = await start(people.operator, await make_agent(people.editor))
    approval = await open_approval(people.viewer, run_id)
    assert approval["step_key"] == "t2.0"
    # Other policies, so that the past is told again from the journal.
    await policy(people, name="Thrice", params={"step_type": "step.exec", "max_steps": 3})
    decided = await people.operator.post(f"/approvals/{approval['id']}/approve")
    assert decided.status_code == 200, decided.text
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"]) == ("completed", "so")
    step = (await steps_of(people, run_id))["t2.0"]
    assert step["step_status"] == "ok"
    assert [f["code"] for f in step["decision"]["findings"]] == ["policy_approved"]
    (incident,) = await incidents(people)
    assert (incident["action"], incident["count"]) == ("require_approval", 1)


async def test_a_rejected_call_is_not_made(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="turn", replies=[calls("1+1"), Reply(text="so")])
    params = {"forbidden_step_type": "step.exec", "agent_risk_classifications": ["unclassified"]}
    await policy(
        people,
        rule_type="step_forbidden_for_classification",
        params=params,
        enforcement="require_approval",
    )
    run_id = await start(people.operator, await make_agent(people.editor))
    approval = await open_approval(people.viewer, run_id)
    await people.operator.post(f"/approvals/{approval['id']}/reject", json={"reason": "never"})
    assert (await until(people.viewer, run_id))["status"] == "completed"
    step = (await steps_of(people, run_id))["t1.0"]
    assert step["step_status"] == "rejected"
    assert "never" in step["output"]["message"]


async def test_a_warning_lets_the_step_happen(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="turn", replies=[calls("1+1"), calls("2+2"), Reply(text="so")])
    await policy(people, severity="low")
    run_id = await start(people.operator, await make_agent(people.editor))
    await until(people.viewer, run_id)
    step = (await steps_of(people, run_id))["t2.0"]
    assert (step["step_status"], step["decision"]["action"]) == ("ok", "warn")
    (incident,) = await incidents(people)
    assert incident["action"] == "warn"


@pytest.mark.parametrize("enforcement", ["block", "require_approval"])
async def test_a_model_that_may_not_be_called(people: People, enforcement: str) -> None:
    params = {"forbidden_step_type": "step.model", "agent_risk_classifications": ["high"]}
    await policy(
        people,
        rule_type="step_forbidden_for_classification",
        params=params,
        enforcement=enforcement,
        environment="production",
    )
    agent = await make_agent(people.editor, risk_classification="high", environment="production")
    run = await until(people.viewer, await start(people.operator, agent))
    assert run["status"] == "failed"
    assert run["error"]["code"] in {"policy_violation", "policy_approval"}
    free = await make_agent(people.editor, name="Free", risk_classification="high")
    run = await until(people.viewer, await start(people.operator, free))
    assert run["status"] == "completed"
