"""Approvals: a durable wait, bound to the exact step and its arguments."""

import asyncio
from typing import Any

import pytest

from muster.domains.work.journal import JournalWriter, Run
from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, open_approval, spans, start, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(people: People, scripted: ScriptedServer) -> dict[str, Any]:
    """An agent whose calculator needs approval, and a model that calls it once."""
    changed = await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    assert changed.status_code == 200, changed.text
    scripted.script = Script(
        select="turn",
        replies=[
            Reply(tool_calls=[{"name": "calculator", "arguments": {"expression": "6*7"}}]),
            Reply(text="done"),
        ],
    )
    return await make_agent(people.editor)


async def test_approve(people: People, agent: dict[str, Any]) -> None:
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    assert approval["title"] == "Tester wants to call calculator"
    assert approval["details"] == {"tool": "calculator", "arguments": {"expression": "6*7"}}
    assert (approval["kind"], approval["step_key"]) == ("tool_call", "t1.0")

    refused = await people.viewer.post(f"/approvals/{approval['id']}/approve")
    assert refused.status_code == 403
    hidden = await people.outsider.post(f"/approvals/{approval['id']}/approve")
    assert hidden.status_code == 404

    decided = await people.operator.post(
        f"/approvals/{approval['id']}/approve", json={"reason": "fine"}
    )
    assert decided.status_code == 200, decided.text
    assert (decided.json()["status"], decided.json()["reason"]) == ("approved", "fine")
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"], run["segment"]) == ("completed", "done", 2)
    steps = {s["key"]: s for s in await spans(people.viewer, run_id)}
    assert steps["t1.0"]["output"]["result"] == 42

    for verb in ("approve", "reject"):
        again = await people.operator.post(f"/approvals/{approval['id']}/{verb}")
        assert (again.status_code, again.json()["error"]) == (409, "approval_decided")


async def test_edited_arguments_are_what_happens(people: People, agent: dict[str, Any]) -> None:
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    unfit = await people.operator.post(
        f"/approvals/{approval['id']}/approve", json={"arguments": {"formula": "1"}}
    )
    assert (unfit.status_code, unfit.json()["error"]) == (422, "approval_arguments_invalid")
    decided = await people.operator.post(
        f"/approvals/{approval['id']}/approve", json={"arguments": {"expression": "1+1"}}
    )
    assert decided.json()["arguments"] == {"expression": "1+1"}
    await until(people.viewer, run_id)
    steps = {s["key"]: s for s in await spans(people.viewer, run_id)}
    assert steps["t1.0"]["input"] == {"expression": "1+1"}
    assert steps["t1.0"]["output"]["result"] == 2


async def test_reject_is_told_to_the_model(people: People, agent: dict[str, Any]) -> None:
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    await people.operator.post(f"/approvals/{approval['id']}/reject", json={"comment": "no way"})
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"]) == ("completed", "done")
    steps = {s["key"]: s for s in await spans(people.viewer, run_id)}
    assert steps["t1.0"]["step_status"] == "rejected"
    assert "no way" in steps["t1.0"]["output"]["message"]


async def test_reject_can_end_the_run(people: People, agent: dict[str, Any]) -> None:
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    await people.operator.post(f"/approvals/{approval['id']}/reject", json={"end_run": True})
    run = await until(people.viewer, run_id)
    assert (run["status"], run["error"]["code"]) == ("rejected", "rejected")


async def test_cancel_withdraws_what_is_asked(people: People, agent: dict[str, Any]) -> None:
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    await people.operator.post(f"/executions/{run_id}/cancel")
    read = (await people.viewer.get(f"/approvals/{approval['id']}")).json()
    assert read["status"] == "cancelled"
    late = await people.operator.post(f"/approvals/{approval['id']}/approve")
    assert late.status_code == 409
    assert (await people.viewer.get("/approvals")).json()["items"] == []
    every = await people.viewer.get("/approvals", params={"status": "all"})
    assert every.json()["total"] == 1


async def test_fifty_decide_at_once_and_one_counts(people: People, agent: dict[str, Any]) -> None:
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    verbs = ["approve", "reject"] * 25
    answers = await asyncio.gather(
        *(people.operator.post(f"/approvals/{approval['id']}/{verb}") for verb in verbs)
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [409] * 49
    run = await until(people.viewer, run_id)
    assert (run["status"], run["segment"]) == ("completed", 2)


async def test_several_calls_wait_together(
    people: People, agent: dict[str, Any], scripted: ScriptedServer
) -> None:
    calls = [
        {"id": str(n), "name": "calculator", "arguments": {"expression": f"{n}+0"}}
        for n in range(3)
    ]
    scripted.script = Script(select="turn", replies=[Reply(tool_calls=calls), Reply(text="all")])
    run_id = await start(people.operator, agent)
    await until(people.viewer, run_id, "waiting_for_approval")
    waiting = (await people.viewer.get("/approvals")).json()["items"]
    assert len(waiting) == 3
    for approval in waiting:
        assert (await people.viewer.get(f"/executions/{run_id}")).json()["status"] == (
            "waiting_for_approval"
        )
        await people.operator.post(f"/approvals/{approval['id']}/approve")
    assert (await until(people.viewer, run_id))["result"] == "all"
    assert len(scripted.calls) == 2


async def test_by_hand(people: People) -> None:
    body = {"title": "Ship it?", "details": {"release": "1.2"}}
    made = await people.operator.post("/approvals", json=body)
    assert (made.status_code, made.json()["kind"]) == (201, "manual")
    path = f"/approvals/{made.json()['id']}"
    assert (await people.viewer.post("/approvals", json=body)).status_code == 403
    assert (await people.outsider.get(path)).status_code == 404
    choice = await people.operator.post(f"{path}/approve", json={"choice": "skip"})
    assert (choice.status_code, choice.json()["error"]) == (422, "approval_choice_invalid")
    edited = await people.operator.post(f"{path}/approve", json={"arguments": {"a": 1}})
    assert edited.status_code == 422
    assert (await people.operator.post(f"{path}/reject")).json()["status"] == "rejected"
    over = await people.operator.post(
        "/approvals", json={"title": "Old", "expires_at": "2020-01-01T00:00:00Z"}
    )
    late = await people.operator.post(f"/approvals/{over.json()['id']}/approve")
    assert (late.status_code, late.json()["error"]) == (410, "approval_expired")


CHOICES = {
    "retry": ("approve", {"choice": "retry"}, "completed", "ok"),
    "skip": ("approve", {"choice": "skip"}, "completed", "error"),
    "fail": ("approve", {"choice": "fail"}, "failed", None),
    "no": ("reject", {}, "completed", "error"),
    "end": ("reject", {"end_run": True}, "failed", None),
}


@pytest.mark.parametrize("choice", CHOICES)
async def test_a_call_that_may_have_half_happened_waits_for_a_choice(
    people: People, working: Muster, scripted: ScriptedServer, choice: str
) -> None:
    """As after a crash: the intent of a tool that is not idempotent is found without its step."""
    writes = [{"name": "write_file", "arguments": {"path": "a.txt", "content": "x"}}]
    scripted.script = Script(
        select="turn", replies=[Reply(tool_calls=writes, delay_s=0.5), Reply(text="done")]
    )
    agent = await make_agent(people.editor, tools=["write_file"])
    run_id = await start(people.operator, agent)
    await until(people.viewer, run_id, "running")
    writer: JournalWriter = working.running.parts.writer
    async with working.database.read() as session:
        fence = (await session.get_one(Run, run_id)).fence
    await writer.intend(run_id, fence, key="t1.0", name="write_file", arguments="a" * 64)
    await people.operator.post(f"/executions/{run_id}/stop", json={"stop_type": "graceful"})
    stopped = await until(people.viewer, run_id)
    assert stopped["status"] == "stopped"
    await people.operator.post(f"/executions/{run_id}/resume")

    approval = await open_approval(people.viewer, run_id)
    assert approval["kind"] == "uncertain_step"
    assert approval["choices"] == ["retry", "skip", "fail"]
    verb, body, status, step_status = CHOICES[choice]
    decided = await people.operator.post(f"/approvals/{approval['id']}/{verb}", json=body)
    assert decided.status_code == 200, decided.text
    run = await until(people.viewer, run_id)
    assert run["status"] == status
    steps = [s for s in await spans(people.viewer, run_id) if s["name"] == "write_file"]
    assert [s["step_status"] for s in steps] == ([step_status] if step_status else [])
