"""Plans that are cancelled, stopped, resumed, retried and forked, and what they cost."""

import asyncio
import time
from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import asked, make_agent, open_approval, spans, until
from tests.work.plan_setting import MODEL, between, crew, flow, start_plan, task

pytestmark = pytest.mark.anyio

UNPRICED = "openai/nobody-knows-me"
PRICED = {
    "name": "paid",
    "provider": "openai",
    "model": "scripted-large",
    "input_price": 1,
    "output_price": 2,
}


def say(server: ScriptedServer, *replies: Reply) -> None:
    """Let the server answer with these from now on."""
    server.reset()
    server.script = Script(select="call", replies=list(replies))


async def children(people: People, run_id: str) -> list[dict[str, Any]]:
    found = await people.owner.get("/executions", params={"parent_run_id": run_id})
    return found.json()["items"]


async def test_cancelling_reaches_the_call_of_a_child(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, Reply(text="One."), Reply(hang=True))
    run_id = await start_plan(working, people.project_id, crew(task("one"), task("two")))
    await asked(scripted, 2)
    deadline = time.monotonic() + 30
    answer = await people.owner.post(f"/executions/{run_id}/cancel")
    assert answer.status_code == 200, answer.text
    assert (await until(people.owner, run_id))["status"] == "cancelled"
    while not scripted.calls[-1].closed_early:
        assert time.monotonic() < deadline, "the call goes on"
        await asyncio.sleep(0.01)
    statuses = sorted(child["status"] for child in await children(people, run_id))
    assert statuses == ["cancelled", "completed"]


async def test_a_stop_comes_between_two_nodes_and_the_rest_is_done_later(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, Reply(text="One.", delay_s=0.5), Reply(text="Two."))
    run_id = await start_plan(working, people.project_id, crew(task("one"), task("two")))
    await asked(scripted, 1)
    assert (await people.owner.post(f"/executions/{run_id}/stop")).status_code == 200
    run = await until(people.owner, run_id)
    assert run["status"] == "stopped", run
    partial = run["result"]["partial_results"]
    assert [part["content"] for part in partial] == ["One."]
    answer = await people.owner.post(f"/executions/{run_id}/resume")
    assert answer.status_code == 200, answer.text
    run = await until(people.owner, run_id, "completed")
    assert run["result"] == "Two."
    assert len(scripted.calls) == 2
    assert len(await children(people, run_id)) == 2


async def test_a_wait_does_not_repeat_the_attempts_that_failed(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, Reply(status=400), Reply(text="One."), Reply(text="Two."))
    spec = crew(task("write", retry_on_fail=1, human_input=True))
    run_id = await start_plan(working, people.project_id, spec)
    asked = await open_approval(people.owner, run_id)
    await people.owner.post(f"/approvals/{asked['id']}/approve", json={})
    assert (await until(people.owner, run_id))["result"] == "One."
    assert len(scripted.calls) == 2
    statuses = sorted(child["status"] for child in await children(people, run_id))
    assert statuses == ["completed", "failed"]


async def test_a_retry_does_all_of_it_again(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, Reply(text="One."), Reply(text="Two."), Reply(text="Three."), Reply(text="Four."))
    run_id = await start_plan(working, people.project_id, crew(task("one"), task("two")))
    await until(people.owner, run_id)
    answer = await people.owner.post(f"/executions/{run_id}/retry")
    assert answer.status_code == 201, answer.text
    run = await until(people.owner, answer.json()["execution_id"])
    assert (run["result"], run["execution_type"], run["origin"]) == ("Four.", "crew", "retry")


async def test_a_fork_keeps_the_nodes_before_it(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, Reply(text="One."), Reply(text="Two."), Reply(text="Other."))
    run_id = await start_plan(working, people.project_id, crew(task("one"), task("two")))
    await until(people.owner, run_id)
    (seq,) = [s["seq"] for s in await spans(people.owner, run_id) if s["key"] == "n.one"]
    answer = await people.owner.post(f"/executions/{run_id}/fork", json={"from_seq": seq})
    assert answer.status_code == 201, answer.text
    fork = await until(people.owner, answer.json()["execution_id"])
    assert (fork["result"], fork["origin"]) == ("Other.", "fork"), fork
    assert len(scripted.calls) == 3
    assert len(await children(people, fork["id"])) == 1
    assert "One." in scripted.calls[-1].body["messages"][1]["content"]


async def test_usage_and_cost_add_up(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, Reply(text="x"))
    assert (await people.editor.post("/models", json=PRICED)).status_code == 201
    ask = {"type": "llm", "prompt": "x"}
    nodes = [{"name": "a", "next": "b", **ask}, {"name": "b", **ask}]
    run_id = await start_plan(working, people.project_id, flow(*nodes, model="paid"))
    usage = (await until(people.owner, run_id))["usage"]
    parts = [child["usage"] for child in await children(people, run_id)]
    assert len(parts) == 2
    for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"):
        assert usage[name] == sum(part[name] for part in parts) > 0
    assert usage["model_calls"] == 2
    assert usage["cost"] == pytest.approx(sum(part["cost"] for part in parts))
    assert usage["cost"] > 0
    assert usage["unpriced_calls"] == 0


async def test_what_a_child_without_a_price_costs_is_unknown(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, Reply(text="x"))
    assert (await people.editor.post("/models", json=PRICED)).status_code == 201
    ask = {"type": "llm", "prompt": "x"}
    nodes = [{"name": "a", "next": "b", **ask, "model": "paid"}, {"name": "b", **ask}]
    run_id = await start_plan(working, people.project_id, flow(*nodes, model=UNPRICED))
    usage = (await until(people.owner, run_id))["usage"]
    assert usage["cost"] is None
    assert usage["known_cost"] > 0
    assert usage["unpriced_calls"] == 1


async def test_what_failed_attempts_used_counts(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, Reply(text="no"), Reply(text="no"), Reply(text="good enough"))
    guarded = task("write", guardrail="len(output) > 5", guardrail_max_retries=0, retry_on_fail=2)
    run_id = await start_plan(working, people.project_id, crew(guarded))
    run = await until(people.owner, run_id)
    assert run["result"] == "good enough", run
    assert run["usage"]["input_tokens"] == 60
    say(scripted, Reply(text="no"))
    node = {"name": "ask", "type": "task", "fallback": "none"}
    spec = flow({**node, "task": {**guarded, "agent": "Tester", "retry_on_fail": 0}})
    await make_agent(people.editor)
    run = await until(people.owner, await start_plan(working, people.project_id, spec))
    assert (run["result"], run["usage"]["input_tokens"]) == ("none", 20), run


async def deny(people: People, agent_id: str) -> None:
    body = {
        "scope_type": "role",
        "scope_id": "operator",
        "resource_type": "agent",
        "resource_id": agent_id,
        "effect": "deny",
    }
    made = await people.superadmin.post("/policy/rules", json=body)
    assert made.status_code == 201, made.text


async def test_rules_deny_an_agent_at_the_start_and_in_the_middle(
    people: People, scripted: ScriptedServer
) -> None:
    first = await make_agent(people.editor, name="First", tools=[])
    second = await make_agent(people.editor, name="Second", tools=[])
    workflow = {
        "name": "Two",
        "nodes": between(
            {"name": "one", "type": "agent", "agent": first["id"], "next": "two"},
            {"name": "two", "type": "agent", "agent": second["id"]},
        ),
    }
    say(scripted, Reply(text="One.", delay_s=0.5), Reply(text="Two."))
    started = await people.operator.post("/executions", json={"workflow": workflow})
    assert started.status_code == 201, started.text
    await asked(scripted, 1)
    await deny(people, second["id"])
    run = await until(people.viewer, started.json()["execution_id"])
    assert run["status"] == "failed", run
    assert "rule" in run["error"]["message"]
    assert len(scripted.calls) == 1
    refused = await people.operator.post("/executions", json={"workflow": workflow})
    assert (refused.status_code, refused.json()["error"]) == (403, "access_denied_by_rule")


async def test_progress(working: Muster, people: People, scripted: ScriptedServer) -> None:
    say(scripted, Reply(text="One."), Reply(hang=True))
    run_id = await start_plan(working, people.project_id, crew(task("one"), task("two")))
    await asked(scripted, 2)
    progress = (await people.owner.get(f"/executions/{run_id}/status")).json()["progress"]
    assert (progress["total_tasks"], progress["completed_tasks"]) == (2, 1), progress
    assert progress["running_tasks"] == 1
    await people.owner.post(f"/executions/{run_id}/cancel")
    await until(people.owner, run_id)


async def test_schemas_and_markdown(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    scripted.script = Script(rounds=0)
    spec = crew(task("form", output_schema=schema, markdown=True, instructions="Mind {what}."))
    run_id = await start_plan(working, people.project_id, spec, what="the gap")
    assert (await until(people.owner, run_id))["result"] == {"n": 1}
    prompt = scripted.calls[0].body["messages"][-1]["content"]
    assert "Write Markdown." in prompt
    assert "Mind the gap." in prompt


def judged(passes: str, reason: str = "") -> Reply:
    return Reply(text=f'{{"passes": {passes}, "reason": "{reason}"}}')


async def test_a_judge_lets_pass_sends_back_and_gives_up(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    rule = {"description": "It is polite.", "llm_model": MODEL}
    spec = crew(task("write", llm_guardrail=rule, guardrail_max_retries=1))
    say(scripted, Reply(text="Hey"), judged("false", "Rude"), Reply(text="Dear"), judged("true"))
    run = await until(people.owner, await start_plan(working, people.project_id, spec))
    assert run["result"] == "Dear", run
    assert "Your last output was:\nHey\n" in scripted.calls[2].body["messages"][1]["content"]
    assert "It was not accepted: Rude" in scripted.calls[2].body["messages"][1]["content"]
    assert "It is polite." in scripted.calls[1].body["messages"][1]["content"]
    assert run["usage"]["input_tokens"] == 80
    say(scripted, Reply(text="Hey"), judged("false"), Reply(text="Hey"), judged("false", "Still"))
    run = await until(people.owner, await start_plan(working, people.project_id, spec))
    assert run["status"] == "failed"
    assert "does not let the output pass: Still" in run["error"]["message"]
    say(scripted, Reply(text="Hey"), Reply(status=400))
    run = await until(people.owner, await start_plan(working, people.project_id, spec))
    assert "did not answer whether the output passes" in run["error"]["message"]
    builtin = crew(task("write", llm_guardrail={**rule, "llm_model": "builtin/extractive"}))
    say(scripted, Reply(text="Hey"))
    run = await until(people.owner, await start_plan(working, people.project_id, builtin))
    assert run["result"] == "Hey"
    broken = crew(task("write", guardrail="nothing > 1"))
    run = await until(people.owner, await start_plan(working, people.project_id, broken))
    assert "The guardrail cannot be evaluated" in run["error"]["message"]


async def test_a_manager_who_does_not_decide(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    spec = crew({"key": "write", "description": "Write."}, process="hierarchical")
    say(scripted, Reply(text='{"agent": "nobody", "advice": ""}'))
    run = await until(people.owner, await start_plan(working, people.project_id, spec))
    assert (run["status"], run["error"]["code"]) == ("failed", "node_failed"), run
    assert "The manager did not decide" in run["error"]["message"]


async def test_a_manager_gives_up_sending_back(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    again = Reply(text='{"accepted": false, "feedback": ""}')
    assign = Reply(text='{"agent": "editor", "advice": ""}')
    say(scripted, assign, *[Reply(text="x"), again] * 3, Reply(text="Last."))
    spec = crew(task("write"), process="hierarchical")
    run = await until(people.owner, await start_plan(working, people.project_id, spec))
    assert run["result"] == "Last.", run
    assert "meant for writer" in scripted.calls[0].body["messages"][1]["content"]
    assert "Do it again, better." in scripted.calls[3].body["messages"][1]["content"]


async def test_the_built_in_model_manages_without_deciding(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(rounds=0, text="Done.")
    managed: dict[str, Any] = {"process": "hierarchical", "manager_llm": "builtin/extractive"}
    spec = crew({"key": "a", "description": "The editor is best."}, **managed)
    run = await until(people.owner, await start_plan(working, people.project_id, spec))
    assert run["result"] == "Done."
    assert "the editor" in scripted.calls[0].body["messages"][0]["content"]
    alone = crew({"key": "a", "description": "x"}, **managed)
    alone.agents = []
    run = await until(people.owner, await start_plan(working, people.project_id, alone))
    assert run["status"] == "completed", run
