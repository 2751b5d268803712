"""Collaboration sessions: who takes part, what is shared and said, closing, and agents' tools."""

import asyncio
from typing import Any

import pytest

from muster.adapters.tools.base import ToolInputInvalid
from muster.domains.dialogue.collaboration.errors import CollaborationNotFound
from muster.entrypoints.assembly import Muster
from tests.dialogue.setting import act, as_agent, make_agent
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ada(people: People) -> dict[str, Any]:
    return await make_agent(people, "Ada")


@pytest.fixture
async def bob(people: People) -> dict[str, Any]:
    return await make_agent(people, "Bob")


async def opened(people: People, **body: Any) -> dict[str, Any]:
    answer = await people.operator.post("/collaboration", json={"name": "Launch", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def names(people: People, **params: Any) -> list[str]:
    answer = await people.viewer.get("/collaboration", params=params)
    assert answer.status_code == 200, answer.text
    return [session["name"] for session in answer.json()["items"]]


async def test_the_documented_session(
    muster: Muster, people: People, ada: dict[str, Any], bob: dict[str, Any]
) -> None:
    session = await opened(
        people,
        description="The new site",
        participants=[ada["id"], "bob", "ada"],
        initial_context={"colour": "blue", "pages": 3, "unset": None},
    )
    path = f"/collaboration/{session['id']}"
    assert [p["name"] for p in session["participants"]] == ["Ada", "Bob"]
    assert session["context"] == {"colour": "blue", "pages": 3}
    assert (session["status"], session["message_count"]) == ("active", 0)

    said = {"agent_id": "ada", "message": "Who writes?", "message_type": "question"}
    first = await people.operator.post(f"{path}/messages", json=said)
    assert first.status_code == 201, first.text
    assert (first.json()["seq"], first.json()["author_name"]) == (1, "Ada")
    second = await people.operator.post(f"{path}/messages", json={"message": "Bob does."})
    assert (second.json()["agent_id"], second.json()["message_type"]) == (None, "message")
    shared = await people.operator.post(f"{path}/context", json={"pages": None, "writer": "bob"})
    assert shared.json()["context"] == {"colour": "blue", "writer": "bob"}

    detail = (await people.viewer.get(path)).json()
    assert [m["message"] for m in detail["messages"]] == ["Who writes?", "Bob does."]
    assert detail["message_count"] == 2
    latest = (await people.viewer.get(path, params={"messages_limit": 1})).json()
    assert [m["seq"] for m in latest["messages"]] == [2]
    page = (await people.viewer.get(f"{path}/messages", params={"limit": 1})).json()
    assert ([m["seq"] for m in page["items"]], page["total"]) == ([1], 2)

    closed = await people.operator.post(f"{path}/close")
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")
    assert closed.json()["closed_at"]
    types = [e.type for e in await recorded(muster, chain=people.project_id)]
    assert [t for t in types if t.startswith("collaboration.")] == [
        "collaboration.created",
        "collaboration.message",
        "collaboration.message",
        "collaboration.updated",
        "collaboration.closed",
    ]
    (fact,) = await recorded(muster, "collaboration.updated", chain=people.project_id)
    assert (fact.data["changed"], fact.data["keys"]) == (["context"], ["pages", "writer"])


async def test_a_closed_session_is_only_read(people: People, ada: dict[str, Any]) -> None:
    session = await opened(people, participants=["ada"])
    path = f"/collaboration/{session['id']}"
    assert (await people.operator.post(f"{path}/close")).status_code == 200

    for method, below, body in (
        ("POST", "/close", None),
        ("POST", "/messages", {"message": "x"}),
        ("POST", "/context", {"a": 1}),
        ("POST", "/participants", {"agent_id": "ada"}),
        ("DELETE", f"/participants/{ada['id']}", None),
        ("PATCH", "", {"name": "x"}),
        ("PUT", "", {"name": "x"}),
    ):
        answer = await people.operator.request(method, path + below, json=body)
        assert answer.status_code == 409, (method, below)
        assert answer.json()["error"] == "collaboration_closed"
    assert (await people.viewer.get(path)).status_code == 200
    assert (await people.operator.delete(path)).status_code == 204
    assert (await people.viewer.get(path)).status_code == 404


async def test_keys_that_are_set_at_once_are_all_kept(people: People) -> None:
    session = await opened(people)
    path = f"/collaboration/{session['id']}"

    answers = await asyncio.gather(
        *(people.operator.post(f"{path}/context", json={f"k{n}": n}) for n in range(8)),
        *(people.operator.post(f"{path}/messages", json={"message": str(n)}) for n in range(8)),
    )

    assert {answer.status_code for answer in answers} == {200, 201}
    detail = (await people.viewer.get(path)).json()
    assert detail["context"] == {f"k{n}": n for n in range(8)}
    assert [m["seq"] for m in detail["messages"]] == list(range(1, 9))


async def test_participants_come_and_go(
    muster: Muster, people: People, ada: dict[str, Any], bob: dict[str, Any]
) -> None:
    session = await opened(people, participants=["ada"])
    path = f"/collaboration/{session['id']}"
    say = {"agent_id": bob["id"], "message": "Hello"}

    refused = await people.operator.post(f"{path}/messages", json=say)
    assert (refused.status_code, refused.json()["error"]) == (409, "not_a_participant")
    added = await people.operator.post(f"{path}/participants", json={"agent_id": "bob"})
    assert added.status_code == 201
    assert [p["key"] for p in added.json()["participants"]] == ["ada", "bob"]
    twice = await people.operator.post(f"{path}/participants", json={"agent_id": "bob"})
    assert twice.json() == added.json()
    assert (await people.operator.post(f"{path}/messages", json=say)).status_code == 201
    one = f"{path}/participants/{bob['id']}"
    assert (await people.operator.delete(one)).status_code == 204
    assert (await people.operator.delete(one)).status_code == 404
    assert (await people.operator.post(f"{path}/messages", json=say)).status_code == 409
    facts = await recorded(muster, "collaboration.updated", chain=people.project_id)
    assert [fact.data["agent_id"] for fact in facts] == [bob["id"], bob["id"]]


async def test_the_list_is_filtered(people: People, ada: dict[str, Any]) -> None:
    first = await opened(people, name="First", participants=["ada"])
    await opened(people, name="Second", description="50% done")
    await people.operator.post(f"/collaboration/{first['id']}/close")

    assert await names(people) == ["Second", "First"]
    assert await names(people, status="closed") == ["First"]
    assert await names(people, status="active") == ["Second"]
    assert await names(people, agent_id="ada") == ["First"]
    assert await names(people, search="50%") == ["Second"]
    assert (await people.viewer.get("/collaboration", params={"status": "x"})).status_code == 422
    (item,) = (await people.viewer.get("/collaboration", params={"search": "fir"})).json()["items"]
    assert [p["key"] for p in item["participants"]] == ["ada"]
    assert "context" not in item


async def test_names_are_changed(muster: Muster, people: People) -> None:
    session = await opened(people)
    path = f"/collaboration/{session['id']}"
    changed = await people.operator.patch(path, json={"name": "Landing"})
    assert (changed.json()["name"], changed.json()["description"]) == ("Landing", "")
    changed = await people.operator.put(path, json={"description": "Softly", "name": "Landing"})
    assert changed.json()["description"] == "Softly"
    assert (await people.operator.patch(path, json={"status": "closed"})).status_code == 422
    facts = await recorded(muster, "collaboration.updated", chain=people.project_id)
    assert [fact.data["changed"] for fact in facts] == [["name"], ["description"]]


@pytest.mark.parametrize(
    "context",
    [
        {str(n): n for n in range(201)},
        {"k" * 201: 1},
        {"big": "x" * 300_000},
    ],
)
async def test_a_context_has_limits(people: People, context: dict[str, Any]) -> None:
    session = await opened(people)
    answer = await people.operator.post(f"/collaboration/{session['id']}/context", json=context)
    assert (answer.status_code, answer.json()["error"]) == (422, "context_too_large")
    body = {"name": "x", "initial_context": context}
    assert (await people.operator.post("/collaboration", json=body)).status_code == 422


async def test_one_and_true_are_not_the_same(people: People) -> None:
    session = await opened(people, initial_context={"a": 1, "b": [0]})
    path = f"/collaboration/{session['id']}/context"
    await people.operator.post(path, json={"a": True, "b": [False]})
    shown = (await people.viewer.get(f"/collaboration/{session['id']}")).json()["context"]
    assert shown["a"] is True
    assert shown["b"][0] is False


async def test_unknown_agents_are_refused(people: People) -> None:
    body = {"name": "x", "participants": ["nobody"]}
    answer = await people.operator.post("/collaboration", json=body)
    assert (answer.status_code, answer.json()["error"]) == (404, "agent_not_found")


async def test_who_may(people: People, ada: dict[str, Any]) -> None:
    session = await opened(people, participants=["ada"])
    path = f"/collaboration/{session['id']}"
    assert (await people.viewer.post("/collaboration", json={"name": "x"})).status_code == 403
    assert (await people.viewer.post(f"{path}/messages", json={"message": "x"})).status_code == 403
    for method, below, body in (
        ("GET", "", None),
        ("GET", "/messages", None),
        ("POST", "/messages", {"message": "x"}),
        ("POST", "/context", {"a": 1}),
        ("POST", "/close", None),
        ("DELETE", f"/participants/{ada['id']}", None),
        ("DELETE", "", None),
    ):
        answer = await people.outsider.request(method, path + below, json=body)
        assert answer.status_code == 404, (method, below)
    foreign = {"name": "x", "participants": [ada["id"]]}
    assert (await people.outsider.post("/collaboration", json=foreign)).status_code == 404


async def test_agents_take_part(
    muster: Muster, people: People, ada: dict[str, Any], bob: dict[str, Any]
) -> None:
    session = await opened(people, participants=["ada"], initial_context={"colour": "blue"})
    listed = await act(muster, as_agent(people, ada), "read_collaboration")
    assert [s["id"] for s in listed.content["sessions"]] == [session["id"]]
    nothing = await act(muster, as_agent(people, bob), "read_collaboration")
    assert nothing.content == {"sessions": []}

    given = {"session": "Launch", "message": "Red is better.", "context": {"colour": "red"}}
    done = await act(muster, as_agent(people, ada), "contribute", **given)
    again = await act(muster, as_agent(people, ada), "contribute", **given)
    assert done.content == again.content == {"session": session["id"], "message_number": 1}
    only = await act(
        muster, as_agent(people, ada, "t"), "contribute", session="Launch", context={"pages": 1}
    )
    assert only.content["message_number"] is None

    seen = await act(muster, as_agent(people, ada), "read_collaboration", session=session["id"])
    assert seen.content["context"] == {"colour": "red", "pages": 1}
    assert [m["message"] for m in seen.content["messages"]] == ["Red is better."]
    assert seen.content["participants"] == [{"key": "ada", "name": "Ada"}]
    (fact,) = await recorded(muster, "collaboration.message", chain=people.project_id)
    assert (fact.actor_name, fact.data["agent_id"]) == ("Ada", ada["id"])

    with pytest.raises(CollaborationNotFound):
        await act(muster, as_agent(people, bob), "read_collaboration", session=session["id"])
    with pytest.raises(CollaborationNotFound):
        await act(muster, as_agent(people, bob), "contribute", session="Launch", message="x")
    with pytest.raises(ToolInputInvalid):
        await act(muster, as_agent(people, ada), "contribute", session="Launch")
    with pytest.raises(ToolInputInvalid):
        await act(muster, as_agent(people, ada), "contribute", session="Launch", message="  ")
