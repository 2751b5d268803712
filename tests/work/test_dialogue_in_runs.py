"""Agents that remember, write to each other, work together and submit code, while they run."""

from typing import Any

import pytest

from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, spans, start, until

pytestmark = pytest.mark.anyio


def call(name: str, **arguments: Any) -> Reply:
    return Reply(tool_calls=[{"name": name, "arguments": arguments}])


async def outputs(
    people: People, scripted: ScriptedServer, agent: dict[str, Any], *turns: Reply
) -> list[Any]:
    """Run an agent by a script and return what its tools answered, in order."""
    scripted.script = Script(select="turn", replies=[*turns, Reply(text="Done.")])
    run = await until(people.viewer, await start(people.operator, agent))
    assert (run["status"], run["result"]) == ("completed", "Done.")
    found = [s for s in await spans(people.viewer, run["id"]) if s["kind"] != "step.model"]
    by_key = {s["key"]: s["output"] for s in found}
    return [by_key[f"t{turn}.0"] for turn in range(1, len(turns) + 1)]


async def test_a_later_run_knows_what_an_earlier_one_remembered(
    people: People, scripted: ScriptedServer
) -> None:
    agent = await make_agent(people.editor, name="Clerk", tools=["remember", "recall"])
    kept = call("remember", content="Miller wants invoices as PDF.", category="Preference")
    ((answer),) = await outputs(people, scripted, agent, kept)

    memories = (await people.viewer.get(f"/agents/{agent['id']}/memories")).json()["items"]
    assert [(m["id"], m["category"]) for m in memories] == [(answer["memory_id"], "preference")]
    (found,) = await outputs(people, scripted, agent, call("recall", query="invoices for Miller"))
    assert [m["content"] for m in found["memories"]] == ["Miller wants invoices as PDF."]
    told = [m for m in scripted.last.body["messages"] if m["role"] == "tool"]
    assert "as PDF" in told[-1]["content"]
    offered = {tool["function"]["name"] for tool in scripted.last.body["tools"]}
    assert offered == {"remember", "recall"}


async def test_agents_write_to_each_other(people: People, scripted: ScriptedServer) -> None:
    tools = ["send_message", "read_messages"]
    ada = await make_agent(people.editor, name="Ada", tools=tools)
    bob = await make_agent(people.editor, name="Bob", tools=tools)

    (sent,) = await outputs(
        people, scripted, ada, call("send_message", to="bob", subject="Hi", body="Where are you?")
    )
    read, answered = await outputs(
        people,
        scripted,
        bob,
        call("read_messages"),
        call("send_message", reply_to=sent["message_id"], body="In Rome."),
    )
    assert [m["body"] for m in read["messages"]] == ["Where are you?"]
    (back,) = await outputs(people, scripted, ada, call("read_messages"))
    assert [m["id"] for m in back["messages"]] == [answered["message_id"]]

    steps = (await people.viewer.get("/messages", params={"agent_id": "ada"})).json()["items"]
    assert all(message["is_read"] and message["run_id"] for message in steps)


async def test_agents_work_together(people: People, scripted: ScriptedServer) -> None:
    tools = ["read_collaboration", "contribute"]
    agent = await make_agent(people.editor, name="Ada", tools=tools)
    body = {"name": "Launch", "participants": ["ada"], "initial_context": {"colour": "blue"}}
    session = (await people.operator.post("/collaboration", json=body)).json()

    seen, done = await outputs(
        people,
        scripted,
        agent,
        call("read_collaboration", session="Launch"),
        call("contribute", session="Launch", message="Red it is.", context={"colour": "red"}),
    )

    assert seen["context"] == {"colour": "blue"}
    assert done == {"session": session["id"], "message_number": 1}
    detail = (await people.viewer.get(f"/collaboration/{session['id']}")).json()
    assert detail["context"] == {"colour": "red"}
    assert [m["author_name"] for m in detail["messages"]] == ["Ada"]


async def test_code_is_submitted_and_the_decision_is_seen(
    people: People, scripted: ScriptedServer
) -> None:
    tools = ["submit_code_review", "review_status"]
    agent = await make_agent(people.editor, name="Coder", tools=tools)
    (answer,) = await outputs(
        people, scripted, agent, call("submit_code_review", title="Round up", diff="+up = True\n")
    )
    path = f"/code-reviews/{answer['review_id']}"
    await people.operator.post(f"{path}/comment", json={"body": "And tests?"})
    assert (await people.operator.post(f"{path}/reject", json={"comment": "No"})).status_code == 200

    (status,) = await outputs(
        people, scripted, agent, call("review_status", review_id=answer["review_id"])
    )

    assert (status["status"], status["decision_comment"]) == ("rejected", "No")
    assert [comment["body"] for comment in status["comments"]] == ["And tests?"]


async def test_what_a_tool_refuses_is_told_to_the_model(
    people: People, scripted: ScriptedServer
) -> None:
    agent = await make_agent(people.editor, name="Ada", tools=["send_message", "review_status"])
    nobody, unaddressed, unknown = await outputs(
        people,
        scripted,
        agent,
        call("send_message", to="nobody", body="x"),
        call("send_message", body="x"),
        call("review_status", review_id="none"),
    )
    assert nobody["error"] == "agent_not_found"
    assert unaddressed["error"] == "message_unaddressed"
    assert "channel" in unaddressed["message"]
    assert unknown["error"] == "code_review_not_found"
    assert (await people.viewer.get("/messages")).json()["total"] == 0
