"""Policies in runs: refused, asked about, warned of, and what the journal says of the past."""

from typing import Any

import pytest

from muster.domains.work.oversight import endings
from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.support.accounts import make_accounts
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.conftest import Connected
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


# -- the end of a run ------------------------------------------------------------------------------

AT_END = {
    "name": "Looks before it ends",
    "rule_type": "history_contains",
    "params": {"step_type": "step.exec"},
    "severity": "medium",
    "scope": "task_execution",
}


async def test_a_run_is_judged_as_a_whole_when_it_ends(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[Reply(text="so")])
    made = await policy(people, **AT_END)
    agent = await make_agent(people.editor)
    run_id = ""
    for _ in range(2):
        run_id = await start(people.operator, agent)
        assert (await until(people.viewer, run_id))["status"] == "completed"
    (incident,) = await incidents(people)
    last = (await spans(people.viewer, run_id))[-1]
    assert (incident["policy_id"], incident["agent_id"]) == (made["id"], agent["id"])
    assert (incident["action"], incident["count"]) == ("observed", 2)
    assert (incident["run_id"], incident["task_id"]) == (run_id, run_id)
    assert (incident["step_kind"], incident["step_seq"]) == ("task.end", last["seq"])
    assert incident["details"]["message"]


async def test_what_was_blocked_is_an_attempt_and_does_not_keep_the_run_from_its_end(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[calls("1+1"), Reply(text="so")])
    params = {"forbidden_step_type": "step.exec", "agent_risk_classifications": ["unclassified"]}
    await policy(people, rule_type="step_forbidden_for_classification", params=params)
    await policy(people, **{**AT_END, "name": "Counts attempts"})
    happened = {"step_type": "step.exec", "count_attempts": False}
    third = {**AT_END, "name": "Counts what happened", "schema": "3", "params": happened}
    await policy(people, **third)
    run_id = await start(people.operator, await make_agent(people.editor))
    assert (await until(people.viewer, run_id))["status"] == "completed"
    assert (await steps_of(people, run_id))["t1.0"]["step_status"] == "blocked"
    assert {i["policy_name"] for i in await incidents(people)} == {"Once", "Counts what happened"}


async def test_a_run_that_fails_is_judged_too_and_again_in_a_dry_run(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[Reply(status=401)])
    await policy(people, **AT_END)
    run_id = await start(people.operator, await make_agent(people.editor))
    assert (await until(people.viewer, run_id))["status"] == "failed"
    (incident,) = await incidents(people)
    assert (incident["run_id"], incident["step_kind"]) == (run_id, "task.error")
    period = {"since": "2020-01-01T00:00:00Z"}
    tried = (await people.editor.post("/policies/dry-run", json=period)).json()
    (found,) = tried["findings"]
    assert (found["seq"], found["action"]) == (incident["step_seq"], "warn")


async def test_policies_about_others_do_not_judge_the_end(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[Reply(text="so")])
    await policy(people, **{**AT_END, "environments": ["production"]})
    agent = await make_agent(people.editor, environment="staging")
    run = await until(people.viewer, await start(people.operator, agent))
    assert run["status"] == "completed"
    assert await incidents(people) == []


@pytest.mark.parametrize("broken", ["as_if", "judge_end"])
async def test_a_fault_of_the_judgement_is_not_in_the_way(
    people: People, monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer, broken: str
) -> None:
    scripted.script = Script(select="turn", replies=[Reply(text="so")])
    await policy(people, **AT_END)

    def fault(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(endings, broken, fault)
    run = await until(people.viewer, await start(people.operator, await make_agent(people.editor)))
    assert (run["status"], run["result"]) == ("completed", "so")
    assert await incidents(people) == []


async def test_the_end_counts_what_was_before_a_restart(
    settings: Settings, scripted: ScriptedServer, connected: Connected
) -> None:
    replies = [calls("1+1"), calls("2+2"), Reply(text="so")]
    scripted.script = Script(select="turn", replies=replies)
    async with Muster(settings, engine="work") as first:
        await make_accounts(first)
        people = await connected(first)
        most = {"step_type": "step.exec", "max_steps": 1}
        await policy(people, name="Twice asks", enforcement="require_approval")
        await policy(people, name="One at most", params=most, scope="task_execution")
        run_id = await start(people.operator, await make_agent(people.editor))
        approval = await open_approval(people.viewer, run_id)
    async with Muster(settings, engine="work") as second:
        people = await connected(second)
        decided = await people.operator.post(f"/approvals/{approval['id']}/approve")
        assert decided.status_code == 200, decided.text
        assert (await until(people.viewer, run_id))["status"] == "completed"
        found = {i["policy_name"]: i["count"] for i in await incidents(people)}
    assert found == {"One at most": 1, "Twice asks": 1}
