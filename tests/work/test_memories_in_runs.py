"""Memories that are put before an agent's first thought: chosen, recorded, governed, bounded."""

from typing import Any

import pytest

from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, open_approval, spans, start, until

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
PDF, BLUE = "Miller wants invoices as PDF.", "The office is blue."


async def keep(people: People, agent: Json, *contents: str, **fields: Any) -> None:
    for content in contents:
        body = {"content": content, **fields}
        kept = await people.editor.post(f"/agents/{agent['id']}/memories", json=body)
        assert kept.status_code == 201, kept.text


async def run(people: People, agent: Json, prompt: str = "Write Miller's invoices") -> Json:
    run_id = await start(people.operator, agent, inputs={"prompt": prompt})
    return await until(people.viewer, run_id)


async def recalled(people: People, run_id: str) -> list[Json]:
    return [span for span in await spans(people.viewer, run_id) if span["key"] == "recall"]


def told(scripted: ScriptedServer) -> str:
    first = next(m for m in scripted.last.body["messages"] if m["role"] == "user")
    return str(first["content"])


async def test_what_fits_the_prompt_is_told_and_recorded(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(text="Done.")])
    agent = await make_agent(people.editor, name="Clerk")
    await keep(people, agent, PDF, BLUE)
    ended = await run(people, agent)
    assert PDF in told(scripted)
    assert BLUE not in told(scripted)
    assert told(scripted).startswith("Write Miller's invoices\n\n<context ")
    (step,) = await recalled(people, ended["id"])
    assert (step["kind"], step["verb"], step["name"], step["status"]) == (
        "step.self",
        "GET",
        "recall",
        "OK",
    )
    assert step["input"] == {"query": "Write Miller's invoices", "limit": 5}
    assert [m["content"] for m in step["output"]["memories"]] == [PDF]
    assert step["seq"] < min(
        s["seq"] for s in await spans(people.viewer, ended["id"]) if s["kind"] == "step.model"
    )
    memories = (await people.viewer.get(f"/agents/{agent['id']}/memories")).json()["items"]
    assert {m["content"]: m["access_count"] for m in memories} == {PDF: 1, BLUE: 0}
    # It is no call of a tool that the agent has made, and the tool is not offered to it.
    assert ended["usage"]["tool_calls"] == 0
    assert [t["function"]["name"] for t in scripted.last.body["tools"]] == ["calculator"]


async def test_an_agent_without_memories_has_no_such_step(
    people: People, scripted: ScriptedServer
) -> None:
    agent = await make_agent(people.editor)
    other = await make_agent(people.editor, name="Other")
    await keep(people, other, PDF)
    ended = await run(people, agent)
    assert await recalled(people, ended["id"]) == []
    assert "<context" not in told(scripted)


async def test_nothing_is_told_where_nothing_fits(people: People, scripted: ScriptedServer) -> None:
    agent = await make_agent(people.editor)
    await keep(people, agent, BLUE)
    ended = await run(people, agent)
    (step,) = await recalled(people, ended["id"])
    assert step["output"] == {"memories": [], "total": 0}
    assert "<context" not in told(scripted)


async def test_memory_is_turned_off(people: People, scripted: ScriptedServer) -> None:
    agent = await make_agent(people.editor, memory=False)
    await keep(people, agent, PDF)
    ended = await run(people, agent)
    assert await recalled(people, ended["id"]) == []
    assert PDF not in told(scripted)
    await people.editor.patch(f"/agents/{agent['id']}", json={"memory": True})
    await run(people, agent)
    assert PDF in told(scripted)


async def test_it_is_bounded(people: People, scripted: ScriptedServer) -> None:
    agent = await make_agent(people.editor)
    long = [f"invoices {number} " + "x" * 1_500 for number in range(8)]
    await keep(people, agent, *long)
    ended = await run(people, agent)
    (step,) = await recalled(people, ended["id"])
    assert len(step["output"]["memories"]) == 5
    assert told(scripted).count("invoices ") == 2
    # A prompt may be as long as it likes.
    assert (await run(people, agent, "invoices " * 1_000))["status"] == "completed"


async def test_a_run_that_is_taken_up_again_is_told_the_same(
    people: People, scripted: ScriptedServer
) -> None:
    agent = await make_agent(people.editor)
    await keep(people, agent, PDF)
    scripted.script = Script(select="call", replies=[Reply(status=400), Reply(text="Done.")])
    run_id = await start(people.operator, agent, inputs={"prompt": "Write Miller's invoices"})
    await until(people.viewer, run_id, "failed")
    first = told(scripted)
    memories = (await people.viewer.get(f"/agents/{agent['id']}/memories")).json()["items"]
    await people.editor.delete(f"/agents/memories/{memories[0]['id']}")
    await keep(people, agent, "Miller's invoices go by mail now.")
    await people.operator.post(f"/executions/{run_id}/resume")
    await until(people.viewer, run_id, "completed")
    assert told(scripted) == first
    assert len(await recalled(people, run_id)) == 1


async def test_a_run_that_began_without_memories_goes_on_without(
    people: People, scripted: ScriptedServer
) -> None:
    agent = await make_agent(people.editor)
    scripted.script = Script(select="call", replies=[Reply(status=400), Reply(text="Done.")])
    run_id = await start(people.operator, agent, inputs={"prompt": "Write Miller's invoices"})
    await until(people.viewer, run_id, "failed")
    await keep(people, agent, PDF)
    await people.operator.post(f"/executions/{run_id}/resume")
    await until(people.viewer, run_id, "completed")
    assert await recalled(people, run_id) == []
    assert PDF not in told(scripted)


async def test_a_tool_that_is_disabled_or_needs_a_person_holds_here_too(
    people: People, scripted: ScriptedServer
) -> None:
    agent = await make_agent(people.editor)
    await keep(people, agent, PDF)
    await people.owner.patch("/tools/recall", json={"requires_approval": True})
    run_id = await start(people.operator, agent, inputs={"prompt": "Write Miller's invoices"})
    approval = await open_approval(people.operator, run_id)
    assert "recall" in approval["title"]
    await people.owner.post(f"/approvals/{approval['id']}/approve", json={})
    await until(people.viewer, run_id, "completed")
    assert PDF in told(scripted)

    await people.owner.patch("/tools/recall", json={"requires_approval": False, "enabled": False})
    ended = await run(people, agent)
    (step,) = await recalled(people, ended["id"])
    assert (ended["status"], step["status"]) == ("completed", "ERROR")
    assert PDF not in told(scripted)


@pytest.mark.parametrize("memory", [True, False])
async def test_a_crew_lets_its_agents_remember_or_not(
    people: People, scripted: ScriptedServer, memory: bool
) -> None:
    agent = await make_agent(people.editor, name="Clerk")
    await keep(people, agent, PDF)
    tasks = {"write": {"description": "Write Miller's invoices", "agent": "clerk"}}
    body = {"name": "Office", "agent_ids": [agent["id"]], "tasks_yaml": tasks, "memory": memory}
    crew = (await people.editor.post("/crews", json=body)).json()
    answer = await people.operator.post("/executions", json={"crew_id": crew["id"]})
    assert answer.status_code == 201, answer.text
    ended = await until(people.viewer, answer.json()["execution_id"])
    assert ended["status"] == "completed"
    assert (PDF in told(scripted)) is memory
