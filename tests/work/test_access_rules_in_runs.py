"""Access rules where things are used: starts of runs, their steps, try-outs, bare calls."""

import json
from typing import Any

import httpx2
import pytest

from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, open_approval, spans, start, until

pytestmark = pytest.mark.anyio

DENIED = "access_denied_by_rule"
MODEL = "openai/scripted-large"
COMPUTE = Reply(tool_calls=[{"name": "calculator", "arguments": {"expression": "6*7"}}])


async def id_of(client: httpx2.AsyncClient) -> str:
    return str((await client.get("/auth/me")).json()["id"])


async def rule(people: People, resource_type: str, resource_id: str, **fields: Any) -> str:
    body = {
        "scope_type": "role",
        "scope_id": "operator",
        "resource_type": resource_type,
        "resource_id": resource_id,
        "effect": "deny",
        **fields,
    }
    made = await people.superadmin.post("/policy/rules", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["rule"]["id"])


async def drop(people: People, rule_id: str) -> None:
    assert (await people.superadmin.delete(f"/policy/rules/{rule_id}")).status_code == 204


def assert_refused(answer: httpx2.Response, rule_id: str) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["error"]) == (403, DENIED)
    assert rule_id in problem["message"]
    assert problem["details"]["rules"] == [rule_id]
    assert "operator" not in answer.text, "what the rule says stays with its maker"


async def scopes_of(people: People) -> list[dict[str, str]]:
    """All ways in which a rule can be about the operator."""
    return [
        {"scope_type": "user", "scope_id": await id_of(people.operator)},
        {"scope_type": "group", "scope_id": people.project_id},
        {"scope_type": "role", "scope_id": "operator"},
        {"scope_type": "role", "scope_id": "user"},
    ]


async def test_a_start_is_refused(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(rounds=0)
    agent = await make_agent(people.editor)
    body = {"agent_id": agent["id"], "inputs": {"prompt": "Go"}}
    for scope in await scopes_of(people):
        for resource_id in (agent["id"], "*"):
            rule_id = await rule(people, "agent", resource_id, **scope)
            assert_refused(await people.operator.post("/executions", json=body), rule_id)
            await drop(people, rule_id)
    run_id = await start(people.operator, agent)
    assert (await until(people.viewer, run_id))["status"] == "completed"
    assert (await people.viewer.get("/executions")).json()["total"] == 1


async def test_only_those_whom_a_rule_allows_may_start(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(rounds=0)
    agent, other = await make_agent(people.editor), await make_agent(people.editor, name="Other")
    rule_id = await rule(people, "agent", agent["id"], scope_id="editor", effect="allow")
    body = {"agent_id": agent["id"], "inputs": {"prompt": "Go"}}
    answer = await people.operator.post("/executions", json=body)
    assert (answer.status_code, answer.json()["error"]) == (403, DENIED)
    assert rule_id in answer.json()["message"]
    # Superadmins are bound as well; they can change the rule, and that is recorded.
    assert (await people.superadmin.post("/executions", json=body)).status_code == 403
    for client, started in ((people.editor, agent), (people.operator, other)):
        run = await until(people.viewer, await start(client, started))
        assert run["status"] == "completed"


async def test_every_other_way_to_start_is_refused(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(status=400)])
    agent = await make_agent(people.editor)
    run_id = await start(people.operator, agent)
    await until(people.viewer, run_id)
    rule_id = await rule(people, "agent", agent["id"])
    path = f"/executions/{run_id}"
    assert_refused(await people.operator.post(f"{path}/retry"), rule_id)
    assert_refused(await people.operator.post(f"{path}/fork", json={"from_seq": 1}), rule_id)
    assert_refused(await people.operator.post(f"{path}/resume"), rule_id)
    # The one who starts is judged, not the one whose run it was.
    scripted.script = Script(rounds=0)
    again = await people.editor.post(f"{path}/retry")
    assert again.status_code == 201
    assert (await until(people.viewer, again.json()["execution_id"]))["status"] == "completed"


async def test_a_key_is_its_user(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(rounds=0)
    agent = await make_agent(people.editor)
    made = await people.operator.post("/security/api-keys", json={"name": "n", "kind": "user"})
    assert made.status_code == 201, made.text
    key = {"Authorization": f"Bearer {made.json()['key']}"}
    body = {"agent_id": agent["id"], "inputs": {"prompt": "Go"}}
    rule_id = await rule(
        people, "model", MODEL, scope_type="user", scope_id=await id_of(people.operator)
    )
    started = await people.operator.post("/executions", json=body, headers=key)
    run = await until(people.viewer, started.json()["execution_id"])
    assert (run["status"], run["error"]["code"]) == ("failed", DENIED)
    assert rule_id in run["error"]["message"]
    await drop(people, rule_id)
    rule_id = await rule(people, "agent", agent["id"])
    assert_refused(await people.operator.post("/executions", json=body, headers=key), rule_id)


async def test_a_model_is_refused_in_a_run(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(rounds=0)
    own = {"name": "fast", "provider": "openai", "model": "scripted-large"}
    own_id = (await people.editor.post("/models", json=own)).json()["id"]
    agent, run_id = await make_agent(people.editor, llm="fast"), ""
    for scope in await scopes_of(people):
        for resource_id in (MODEL, own_id, "*"):
            rule_id = await rule(people, "model", resource_id, **scope)
            run_id = await start(people.operator, agent)
            run = await until(people.viewer, run_id)
            assert (run["status"], run["error"]["code"]) == ("failed", DENIED)
            assert rule_id in run["error"]["message"]
            assert "ask a superadmin" in run["error"]["message"]
            await drop(people, rule_id)
    assert not scripted.calls
    # What was refused can be taken up when the rule is gone.
    resumed = await people.operator.post(f"/executions/{run_id}/resume")
    assert resumed.status_code == 200
    assert (await until(people.viewer, run_id, "completed"))["status"] == "completed"


async def test_a_tool_is_refused_and_the_model_told(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[COMPUTE, Reply(text="by hand")])
    agent = await make_agent(people.editor)
    for scope in await scopes_of(people):
        for resource_id in ("calculator", "*"):
            rule_id = await rule(people, "tool", resource_id, **scope)
            run = await until(people.viewer, await start(people.operator, agent))
            assert (run["status"], run["result"]) == ("completed", "by hand")
            steps = {step["key"]: step for step in await spans(people.viewer, run["id"])}
            assert steps["t1.0"]["step_status"] == "blocked"
            assert steps["t1.0"]["output"]["error"] == DENIED
            (finding,) = steps["t1.0"]["decision"]["findings"]
            assert (finding["check"], finding["details"]["rules"]) == ("access_rules", [rule_id])
            await drop(people, rule_id)
    run = await until(people.viewer, await start(people.operator, agent))
    steps = {step["key"]: step for step in await spans(people.viewer, run["id"])}
    assert steps["t1.0"]["output"]["result"] == 42


async def test_a_rule_holds_in_the_middle_of_a_run(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[COMPUTE, Reply(text="done")])
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    agent = await make_agent(people.editor)
    for resource_type, resource_id in (("agent", agent["id"]), ("model", MODEL)):
        run_id = await start(people.operator, agent)
        approval = await open_approval(people.viewer, run_id)
        rule_id = await rule(people, resource_type, resource_id)
        path = f"/approvals/{approval['id']}/approve"
        assert (await people.operator.post(path)).status_code == 200
        run = await until(people.viewer, run_id)
        assert (run["status"], run["error"]["code"]) == ("failed", DENIED)
        assert rule_id in run["error"]["message"]
        await drop(people, rule_id)


async def test_the_roles_of_the_moment_count(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="turn", replies=[COMPUTE, Reply(text="done")])
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    await rule(people, "model", MODEL, scope_id="viewer")
    run_id = await start(people.operator, await make_agent(people.editor))
    approval = await open_approval(people.viewer, run_id)
    member = f"/projects/{people.project_id}/members/{await id_of(people.operator)}"
    changed = await people.owner.put(member, json={"role": "viewer"})
    if changed.status_code == 405:
        changed = await people.owner.patch(member, json={"role": "viewer"})
    assert changed.status_code == 200, changed.text
    await people.editor.post(f"/approvals/{approval['id']}/approve")
    assert (await until(people.viewer, run_id))["error"]["code"] == DENIED


async def test_an_agent_that_is_asked_is_refused(people: People, scripted: ScriptedServer) -> None:
    clerk = await make_agent(people.editor, name="clerk")
    ask = {"name": "ask_agent", "arguments": {"agent": "clerk", "prompt": "well?"}}
    scripted.script = Script(
        select="turn", replies=[Reply(tool_calls=[ask]), Reply(text="without")]
    )
    rule_id = await rule(people, "agent", clerk["id"])
    boss = await make_agent(people.editor, name="boss", tools=["ask_agent"])
    run = await until(people.viewer, await start(people.operator, boss))
    assert (run["status"], run["result"]) == ("completed", "without")
    steps = {step["key"]: step for step in await spans(people.viewer, run["id"])}
    assert steps["t1.0"]["output"]["error"] == DENIED
    assert rule_id in steps["t1.0"]["output"]["message"]
    params = {"parent_run_id": run["id"]}
    assert (await people.viewer.get("/executions", params=params)).json()["items"] == []


async def test_the_children_of_a_run_work_for_its_starter(
    people: People, scripted: ScriptedServer
) -> None:
    ask = {"name": "ask_agent", "arguments": {"agent": "clerk", "prompt": "well?"}}
    scripted.script = Script(select="turn", replies=[Reply(tool_calls=[ask]), Reply(text="so")])
    await make_agent(people.editor, name="clerk", llm="builtin/extractive", tools=[])
    boss = await make_agent(people.editor, name="boss", tools=["ask_agent"])
    rule_id = await rule(people, "model", "builtin/extractive")
    run = await until(people.viewer, await start(people.operator, boss))
    steps = {step["key"]: step for step in await spans(people.viewer, run["id"])}
    assert steps["t1.0"]["output"]["error"] == "agent_failed"
    assert rule_id in steps["t1.0"]["output"]["message"]
    allowed = await until(people.viewer, await start(people.editor, boss))
    steps = {step["key"]: step for step in await spans(people.viewer, allowed["id"])}
    assert steps["t1.0"]["step_status"] == "ok"


async def test_a_try_out_is_refused(people: People) -> None:
    body = {"arguments": {"expression": "1+1"}}
    for scope in await scopes_of(people):
        rule_id = await rule(people, "tool", "calculator", **scope)
        refused = await people.operator.post("/tools/calculator/test", json=body)
        assert_refused(refused, rule_id)
        await drop(people, rule_id)
    tried = await people.operator.post("/tools/calculator/test", json=body)
    assert tried.json()["content"]["result"] == 2


async def test_bare_calls_are_refused(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(rounds=0)
    inference = {"model": MODEL, "prompt": "Go"}
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Go"}]}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/models/inference", inference),
        ("/models/generate", chat),
        ("/models/generate", {**chat, "stream": True}),
    ]
    for scope in await scopes_of(people):
        rule_id = await rule(people, "model", MODEL, **scope)
        for path, body in calls:
            assert_refused(await people.operator.post(path, json=body), rule_id)
        await drop(people, rule_id)
    assert not scripted.calls
    for path, body in calls:
        answer = await people.operator.post(path, json=body)
        assert answer.status_code == 200, answer.text
    # Lists are left as they are: a rule is about use.
    rule_id = await rule(people, "model", "*")
    listed = (await people.operator.get("/models", params={"limit": 200})).json()["items"]
    assert MODEL in {model["name"] for model in listed}
    assert json.dumps(listed).find(rule_id) == -1
