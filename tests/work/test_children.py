"""Agents that ask agents: runs of their own, inside the step of the run that asked."""

import asyncio
from typing import Any

import pytest

from muster.domains.work.journal import Fenced, Run
from muster.domains.work.runs import NewRun, run_child
from muster.domains.work.runs.children import Parent
from muster.entrypoints.assembly import Muster
from muster.platform.access import Caller
from tests.support.model_server import Conversation, OpenAIWire, Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import FINAL, make_agent, open_approval, spans, start, until

pytestmark = pytest.mark.anyio


class Parts(OpenAIWire):
    """A wire that answers each agent from its own script; their system turns tell them apart."""

    def __init__(self, server: ScriptedServer, **scripts: list[Reply]) -> None:
        self._server, self._scripts = server, scripts
        server.wire = self

    def conversation(self, body: dict[str, Any]) -> Conversation:
        system = str(body["messages"][0]["content"])
        name = next(name for name in self._scripts if f"I am {name}." in system)
        self._server.script = Script(select="turn", replies=self._scripts[name])
        return super().conversation(body)


def asking(*agents: str, **more: Any) -> Reply:
    calls = [
        {"id": str(n), "name": "ask_agent", "arguments": {"agent": agent, "prompt": f"to {agent}"}}
        for n, agent in enumerate(agents)
    ]
    return Reply(tool_calls=calls, **more)


COMPUTE = Reply(tool_calls=[{"name": "calculator", "arguments": {"expression": "6*7"}}])


async def agent(people: People, name: str, **fields: Any) -> dict[str, Any]:
    given = {"tools": ["ask_agent", "calculator"], "instructions": f"I am {name}.", **fields}
    return await make_agent(people.editor, name=name, **given)


async def begin(people: People, scripted: ScriptedServer, **scripts: list[Reply]) -> str:
    """Make an agent for each script and start the first one."""
    Parts(scripted, **scripts)
    agents = [await agent(people, name) for name in scripts]
    return await start(people.operator, agents[0])


async def children_of(people: People, run_id: str) -> list[dict[str, Any]]:
    params = {"parent_run_id": run_id}
    return (await people.viewer.get("/executions", params=params)).json()["items"]


async def child_of(people: People, run_id: str, *statuses: str) -> dict[str, Any]:
    """Return the only child, as soon as it is there and has one of the statuses."""
    async with asyncio.timeout(20):
        while not (found := await children_of(people, run_id)):
            await asyncio.sleep(0.02)
    (child,) = found
    return await until(people.viewer, child["id"], *(statuses or FINAL))


async def asked(scripted: ScriptedServer, times: int) -> None:
    async with asyncio.timeout(20):
        while len(scripted.calls) < times:
            await asyncio.sleep(0.01)


async def step(people: People, run_id: str, key: str) -> dict[str, Any]:
    return {s["key"]: s for s in await spans(people.viewer, run_id)}[key]


async def keys(people: People, run_id: str) -> list[tuple[str, str]]:
    return [(s["key"], s["step_status"]) for s in await spans(people.viewer, run_id)]


async def ended(people: People, run_id: str) -> list[tuple[str, str]]:
    """The steps of a run, as soon as its last one is there."""
    async with asyncio.timeout(10):
        while not (found := await keys(people, run_id))[-1][0].startswith("end"):
            await asyncio.sleep(0.02)
    return found


async def test_the_answer_flows_back(people: People, scripted: ScriptedServer) -> None:
    run_id = await begin(
        people, scripted, boss=[asking("clerk"), Reply(text="thanks")], clerk=[Reply(text="42")]
    )
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"]) == ("completed", "thanks")
    child = await child_of(people, run_id)
    assert (child["origin"], child["parent_run_id"]) == ("agent", run_id)
    assert (child["result"], child["inputs"]) == ("42", {"prompt": "to clerk"})
    assert child["started_by"]["kind"] == "system"
    assert child["run_name"].startswith("clerk for boss")
    tool = await step(people, run_id, "t1.0")
    assert tool["output"] == {"agent": "clerk", "answer": "42"}
    assert tool["properties"]["run_id"] == child["id"]
    assert tool["kind"] == "step.message"
    assert await keys(people, child["id"]) == [("start", "ok"), ("m1", "ok"), ("end", "ok")]
    verified = await people.viewer.get(f"/execution-trace/{child['id']}/verify")
    assert verified.json()["valid"]
    assert [r["id"] for r in await children_of(people, child["id"])] == []
    listed = (await people.viewer.get("/executions", params={"origin": "agent"})).json()
    assert listed["total"] == 1
    shown = (await people.viewer.get("/agents")).json()["items"]
    assert {a["status"] for a in shown} == {"offline"}


async def test_a_tool_of_kind_agent(people: People, scripted: ScriptedServer) -> None:
    clerk = [Reply(text="from the tool")]
    ask = Reply(tool_calls=[{"name": "ask_clerk", "arguments": {"prompt": "well?"}}])
    Parts(scripted, boss=[ask, Reply(text="ok")], clerk=clerk)
    await agent(people, "clerk")
    made = await people.editor.post(
        "/tools",
        json={
            "name": "ask_clerk",
            "description": "Ask the clerk.",
            "tool_type": "agent",
            "configuration": {"agent": "clerk"},
        },
    )
    assert made.status_code == 201, made.text
    boss = await agent(people, "boss", tools=["ask_clerk"])
    run = await until(people.viewer, await start(people.operator, boss))
    assert run["result"] == "ok"
    child = await child_of(people, run["id"])
    assert child["inputs"] == {"prompt": "well?"}
    assert (await step(people, run["id"], "t1.0"))["output"]["answer"] == "from the tool"


async def test_a_failure_is_an_answer(people: People, scripted: ScriptedServer) -> None:
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk", "nobody"), Reply(text="I see")],
        clerk=[Reply(status=400, message="broken")],
    )
    run = await until(people.viewer, run_id)
    assert run["result"] == "I see"
    failed = await step(people, run_id, "t1.0")
    assert (failed["step_status"], failed["output"]["error"]) == ("error", "agent_failed")
    assert "400" in failed["output"]["message"]
    unknown = await step(people, run_id, "t1.1")
    assert unknown["output"]["error"] == "agent_not_found"


async def test_an_agent_that_is_not_ready_is_an_answer(
    people: People, scripted: ScriptedServer
) -> None:
    Parts(scripted, boss=[asking("empty"), Reply(text="then not")])
    await agent(people, "empty", tools=["no_such_tool"])
    run = await until(people.viewer, await start(people.operator, await agent(people, "boss")))
    assert run["result"] == "then not"
    tool = await step(people, run["id"], "t1.0")
    assert tool["output"]["error"] == "agent_not_ready"
    assert await children_of(people, run["id"]) == []


async def test_agents_ask_each_other_four_levels_deep(
    people: People, scripted: ScriptedServer
) -> None:
    run_id = await begin(people, scripted, echo=[asking("echo"), Reply(text="enough")])
    assert (await until(people.viewer, run_id))["result"] == "enough"
    line = [run_id]
    while found := await children_of(people, line[-1]):
        line.append(found[0]["id"])
    assert len(line) == 4
    deepest = await step(people, line[-1], "t1.0")
    assert deepest["output"]["error"] == "too_deep"


@pytest.mark.parametrize(("verb", "status"), [("cancel", "cancelled"), ("force-stop", "stopped")])
async def test_who_ends_the_parent_ends_the_children(
    people: People, scripted: ScriptedServer, verb: str, status: str
) -> None:
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk"), Reply(text="never")],
        clerk=[asking("page"), Reply(text="never")],
        page=[Reply(hang=True)],
    )
    await asked(scripted, 3)
    await people.operator.post(f"/executions/{run_id}/{verb}")
    await ended(people, run_id)
    child = await child_of(people, run_id)
    grandchild = await child_of(people, child["id"])
    assert {child["status"], grandchild["status"]} == {status}
    assert (await ended(people, grandchild["id"]))[1:] == [
        ("m1", "cancelled"),
        ("end", "cancelled"),
    ]
    assert (await ended(people, child["id"]))[2:] == [("t1.0", "cancelled"), ("end", "cancelled")]


async def test_a_parent_that_runs_out_of_time_ends_its_children(
    people: People, scripted: ScriptedServer
) -> None:
    Parts(scripted, boss=[asking("clerk")], clerk=[Reply(hang=True)])
    await agent(people, "clerk")
    boss = await agent(people, "boss", max_execution_time=3)
    run_id = await start(people.operator, boss)
    run = await until(people.viewer, run_id)
    assert run["error"]["code"] == "run_timeout"
    child = await child_of(people, run_id)
    assert child["status"] == "cancelled"
    assert (await ended(people, child["id"]))[1:] == [("m1", "cancelled"), ("end", "cancelled")]


async def test_a_child_that_is_cancelled_by_itself_is_broken_off(
    people: People, scripted: ScriptedServer
) -> None:
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk"), Reply(text="a pity")],
        clerk=[Reply(hang=True)],
    )
    await asked(scripted, 2)
    child = await child_of(people, run_id, "running")
    await people.operator.post(f"/executions/{child['id']}/cancel", json={"reason": "no need"})
    run = await until(people.viewer, run_id)
    assert run["result"] == "a pity"
    tool = await step(people, run_id, "t1.0")
    assert tool["output"] == {"error": "agent_failed", "message": "no need"}
    assert (await ended(people, child["id"]))[1:] == [("m1", "cancelled"), ("end", "cancelled")]
    refused = await people.operator.post(f"/executions/{child['id']}/resume")
    assert (refused.status_code, refused.json()["error"]) == (409, "run_has_parent")
    retried = await people.operator.post(f"/executions/{child['id']}/retry")
    assert retried.status_code == 201
    await people.operator.post(f"/executions/{retried.json()['execution_id']}/cancel")


async def test_a_child_goes_on_where_it_was(people: People, scripted: ScriptedServer) -> None:
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk"), Reply(text="done")],
        clerk=[COMPUTE, Reply(hang=True)],
    )
    await asked(scripted, 3)
    await people.operator.post(f"/executions/{run_id}/force-stop")
    await ended(people, run_id)
    child = await child_of(people, run_id)
    await ended(people, child["id"])
    before = len(scripted.calls)
    Parts(scripted, boss=[asking("clerk"), Reply(text="done")], clerk=[COMPUTE, Reply(text="42")])
    await people.operator.post(f"/executions/{run_id}/resume")
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"], run["segment"]) == ("completed", "done", 2)
    (again,) = await children_of(people, run_id)
    assert (again["id"], again["status"], again["result"]) == (child["id"], "completed", "42")
    assert len(scripted.calls) == before + 2
    assert [key for key, _ in await keys(people, child["id"])] == [
        "start",
        "m1",
        "t1.0",
        "m2",
        "end",
        "m2~2",
        "end~2",
    ]


async def test_an_approval_in_a_child_makes_both_wait(
    people: People, scripted: ScriptedServer
) -> None:
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk"), Reply(text="done")],
        clerk=[COMPUTE, Reply(text="42")],
    )
    child = await child_of(people, run_id, "waiting_for_approval")
    await until(people.viewer, run_id, "waiting_for_approval")
    approval = await open_approval(people.viewer, child["id"])
    assert (await people.viewer.get("/approvals", params={"run_id": run_id})).json()["total"] == 0
    decided = await people.operator.post(f"/approvals/{approval['id']}/approve")
    assert decided.status_code == 200
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"]) == ("completed", "done")
    tool = await step(people, run_id, "t1.0")
    assert tool["output"]["answer"] == "42"
    assert (await child_of(people, run_id))["id"] == child["id"]
    assert len(scripted.calls) == 4


async def test_two_children_that_wait_go_on_one_after_the_other(
    people: People, scripted: ScriptedServer
) -> None:
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk", "page"), Reply(text="both")],
        clerk=[COMPUTE, Reply(text="one")],
        page=[COMPUTE, Reply(text="two")],
    )
    await until(people.viewer, run_id, "waiting_for_approval")
    first, second = (await people.viewer.get("/approvals")).json()["items"]
    await people.operator.post(f"/approvals/{first['id']}/approve")
    assert (await until(people.viewer, first["run_id"]))["status"] == "completed"
    waiting = await until(people.viewer, run_id, "waiting_for_approval")
    assert waiting["segment"] == 2
    await people.operator.post(f"/approvals/{second['id']}/reject", json={"reason": "no"})
    run = await until(people.viewer, run_id)
    assert run["result"] == "both"
    answers = [(await step(people, run_id, key))["output"]["answer"] for key in ("t1.0", "t1.1")]
    assert sorted(answers) == ["one", "two"]


async def test_decisions_at_once_wake_the_run(people: People, scripted: ScriptedServer) -> None:
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    many = Reply(tool_calls=[{**COMPUTE.tool_calls[0], "id": str(n)} for n in range(6)])
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk", "clerk"), Reply(text="all")],
        clerk=[many, Reply(text="six")],
    )
    await until(people.viewer, run_id, "waiting_for_approval")
    waiting = (await people.viewer.get("/approvals")).json()["items"]
    assert len(waiting) == 12
    answers = await asyncio.gather(
        *(people.operator.post(f"/approvals/{a['id']}/approve") for a in waiting)
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (await until(people.viewer, run_id))["result"] == "all"


async def test_ending_and_deciding_at_once_leaves_nothing_open(
    people: People, scripted: ScriptedServer
) -> None:
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk", "clerk", "clerk"), Reply(text="all")],
        clerk=[COMPUTE, Reply(text="one")],
    )
    await until(people.viewer, run_id, "waiting_for_approval")
    waiting = (await people.viewer.get("/approvals")).json()["items"]
    decisions = [people.operator.post(f"/approvals/{a['id']}/approve") for a in waiting]
    ends = [people.operator.post(f"/executions/{run_id}/cancel") for _ in range(3)]
    answers = await asyncio.gather(*decisions, *ends)
    assert {answer.status_code for answer in answers} <= {200, 409}, [a.text for a in answers]
    assert sorted(a.status_code for a in answers[-3:]) == [200, 409, 409]
    assert (await until(people.viewer, run_id))["status"] == "cancelled"
    for child in await children_of(people, run_id):
        assert child["status"] in {"cancelled", "completed"}
    assert (await people.viewer.get("/approvals")).json()["items"] == []


async def test_a_run_that_was_taken_over_does_not_touch_its_child(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    """As after a pause of the process: another one has the parent, and so the child."""
    run_id = await begin(
        people,
        scripted,
        boss=[asking("clerk", delay_s=1.5), Reply(text="mine")],
        clerk=[Reply(text="42")],
    )
    await asked(scripted, 1)
    async with working.database.write() as session:
        run = await session.get_one(Run, run_id)
        run.fence += 1
    async with asyncio.timeout(10):
        while await working.running.parts.engine.known([f"{run_id}:1"]):
            await asyncio.sleep(0.02)
    assert await children_of(people, run_id) == []
    assert await keys(people, run_id) == [("start", "ok")]
    await people.operator.post(f"/executions/{run_id}/cancel")


async def test_a_run_that_has_ended_starts_nothing(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    """As when somebody ends it in the moment in which it comes to the step."""
    run_id = await begin(people, scripted, boss=[Reply(text="all")])
    await until(people.viewer, run_id)
    async with working.database.read() as session:
        run = await session.get_one(Run, run_id)
    parent = Parent(run, Caller.system(run.project_id), 0, run.started_by_id)

    async def prepare() -> NewRun:
        return NewRun(
            agent_id=run.agent_id,
            snapshot=run.snapshot,
            inputs={},
            name="late",
            timeout_s=9,
            parent_run_id=run.id,
            parent_key="t1.0",
        )

    async def execute(_: Run) -> None:
        raise AssertionError

    with pytest.raises(Fenced):
        await run_child(working.running.parts, parent, execute, prepare, step_key="t1.0")
    assert await children_of(people, run_id) == []
