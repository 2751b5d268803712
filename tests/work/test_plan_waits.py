"""Nodes that wait for people: what they ask, what comes of an answer, what goes on meanwhile."""

from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import asked, decide, make_agent, open_approval, spans, until
from tests.work.plan_setting import END, alone, came, flow, start_plan

pytestmark = pytest.mark.anyio


async def test_approvals_that_are_rejected(working: Muster, people: People) -> None:
    run_id = await start_plan(working, people.project_id, alone(type="approval"))
    await decide(people, run_id, "reject", reason="No")
    run = await until(people.owner, run_id)
    assert run["status"] == "rejected", run
    handled = alone(type="approval", on_error="told")
    run_id = await start_plan(working, people.project_id, handled)
    await decide(people, run_id, "reject", reason="Not like this")
    run = await until(people.owner, run_id)
    assert (run["status"], run["result"]) == ("completed", "Not like this")
    run_id = await start_plan(working, people.project_id, handled)
    await decide(people, run_id, "reject", reason="Stop it", end_run=True)
    assert (await until(people.owner, run_id))["status"] == "rejected"


INPUT = {
    "type": "input",
    "variables": [
        {"name": "who"},
        {"name": "count", "type": "number"},
        {"name": "sure", "type": "boolean", "required": False},
        {"name": "more", "type": "json", "required": False, "label": "More"},
    ],
}


async def test_inputs(working: Muster, people: People) -> None:
    spec = alone(**INPUT)
    spec.inputs = {"who": "Ada"}
    run_id = await start_plan(working, people.project_id, spec)
    asked = await open_approval(people.owner, run_id)
    found = await people.viewer.get("/approvals", params={"kind": "input"})
    assert found.json()["items"] == [asked]
    path = f"/approvals/{asked['id']}/approve"
    wrong = await people.owner.post(path, json={"arguments": {"count": "many"}})
    assert wrong.status_code == 422
    await people.owner.post(path, json={"arguments": {"count": 3, "more": [1]}})
    run = await until(people.owner, run_id)
    assert run["result"] == {"who": "Ada", "count": 3, "sure": None, "more": [1]}, run
    given = {"who": "Bob", "count": 1, "sure": True, "more": {}}
    assert (await came(working, people, spec, **given))["result"] == given
    run_id = await start_plan(working, people.project_id, spec)
    await decide(people, run_id, "reject", reason="I do not know")
    assert (await until(people.owner, run_id))["status"] == "rejected"


async def both(people: People, run_id: str, count: int) -> list[dict[str, Any]]:
    await until(people.owner, run_id, "waiting_for_approval")
    found = (await people.owner.get("/approvals", params={"run_id": run_id})).json()["items"]
    assert len(found) == count
    return found


async def test_branches_ask_at_once(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "fork", "type": "parallel", "branches": ["a", "b", "c"], "next": "end"},
        {"name": "a", "type": "approval", "next": "end"},
        {"name": "b", "type": "approval", "next": "end"},
        {"name": "c", "type": "transform", "assign": {"x": "1"}, "next": "end"},
        {"name": "end", "type": "end", "inputs": {"x": "{{ x }}", "a": "{{ nodes.a.approved }}"}},
    )
    run_id = await start_plan(working, people.project_id, spec)
    for one in await both(people, run_id, 2):
        await people.owner.post(f"/approvals/{one['id']}/approve", json={})
    assert (await until(people.owner, run_id))["result"] == {"x": 1, "a": True}


async def test_a_branch_fails_while_another_waits(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "fork", "type": "parallel", "branches": ["a", "b"], "next": "end"},
        {"name": "a", "type": "approval", "next": "end"},
        {"name": "b", "type": "transform", "assign": {"x": "nothing"}, "next": "end"},
        END,
    )
    run_id = await start_plan(working, people.project_id, spec)
    assert (await until(people.owner, run_id))["status"] == "failed"
    open_ = await people.owner.get("/approvals", params={"run_id": run_id, "status": "pending"})
    assert open_.json()["items"] == []


async def test_transforms_are_the_same_when_taken_up_again(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "make", "type": "transform", "inputs": {"n": 5}, "next": "gate"},
        {"name": "gate", "type": "approval", "next": "end"},
        {"name": "end", "type": "end", "inputs": {"n": "{{ n }}"}},
    )
    run_id = await start_plan(working, people.project_id, spec, n=1)
    await decide(people, run_id, "approve")
    assert (await until(people.owner, run_id))["result"] == {"n": 1}
    keys = [span["key"] for span in await spans(people.owner, run_id)]
    assert len(keys) == len(set(keys))


async def test_an_answer_that_comes_while_another_branch_works_is_not_asked_for_again(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    agent = await make_agent(people.editor)
    sum_ = {"name": "calculator", "arguments": {"expression": "1+1"}}
    scripted.reset()
    scripted.script = Script(
        select="call", replies=[Reply(tool_calls=[sum_]), Reply(text="Two.", delay_s=1)]
    )
    spec = flow(
        {"name": "fork", "type": "parallel", "branches": ["a", "b"], "next": "end"},
        {"name": "a", "type": "approval", "next": "end"},
        {"name": "b", "type": "agent", "agent": agent["id"], "prompt": "Add.", "next": "end"},
        {"name": "end", "type": "end", "inputs": {"a": "{{ nodes.a.reason }}"}},
    )
    run_id = await start_plan(working, people.project_id, spec)
    await until(people.owner, run_id, "waiting_for_approval")
    (child,) = (await people.owner.get("/executions", params={"parent_run_id": run_id})).json()[
        "items"
    ]
    await decide(people, child["id"], "approve")
    await asked(scripted, 2)
    (own,) = (await people.owner.get("/approvals", params={"run_id": run_id})).json()["items"]
    said = await people.owner.post(f"/approvals/{own['id']}/approve", json={"reason": "Fine"})
    assert said.status_code == 200, said.text
    assert (await until(people.owner, run_id))["result"] == {"a": "Fine"}
    every = {"run_id": run_id, "status": "all"}
    assert (await people.owner.get("/approvals", params=every)).json()["total"] == 1
