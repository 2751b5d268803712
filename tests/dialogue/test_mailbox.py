"""Messages: to agents and in channels, replies, what is read, and the tools of agents."""

import asyncio
from typing import Any

import pytest

from muster.adapters.tools.base import ToolFailed, ToolInputInvalid
from muster.domains.catalogue.tools import ToolContext
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


async def send(people: People, **body: Any) -> dict[str, Any]:
    answer = await people.operator.post("/messages/send", json={"body": "Hello", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def bodies(people: People, **params: Any) -> list[str]:
    answer = await people.viewer.get("/messages", params=params)
    assert answer.status_code == 200, answer.text
    return [message["body"] for message in answer.json()["items"]]


async def test_the_documented_message(
    muster: Muster, people: People, ada: dict[str, Any], bob: dict[str, Any]
) -> None:
    message = await send(
        people,
        sender_agent_id=ada["id"],
        recipient_agent_id="bob",
        channel="#General",
        subject="Order 1042",
        body="Paid: secret 4711",
    )
    assert (message["sender_agent_id"], message["sender_name"]) == (ada["id"], "Ada")
    assert (message["recipient_agent_id"], message["channel"]) == (bob["id"], "general")
    assert (message["is_read"], message["read_at"], message["reply_to"]) == (False, None, None)
    assert (await people.viewer.get(f"/messages/{message['id']}")).json() == message

    (fact,) = await recorded(muster, "message.new", chain=people.project_id)
    assert fact.subject_id == message["id"]
    assert fact.data["message_subject"] == "Order 1042"
    assert "4711" not in str(fact.data)

    read = await people.operator.patch(f"/messages/{message['id']}/read")
    assert read.status_code == 200
    assert read.json()["is_read"]
    again = await people.operator.patch(f"/messages/{message['id']}/read")
    assert again.json() == read.json()
    assert len(await recorded(muster, "message.read", chain=people.project_id)) == 1

    assert (await people.operator.delete(f"/messages/{message['id']}")).status_code == 204
    assert (await people.viewer.get(f"/messages/{message['id']}")).status_code == 404
    assert len(await recorded(muster, "message.deleted", chain=people.project_id)) == 1


async def test_read_at_once_is_read_once(
    muster: Muster, people: People, ada: dict[str, Any]
) -> None:
    message = await send(people, recipient_agent_id=ada["id"])
    answers = await asyncio.gather(
        *(people.operator.patch(f"/messages/{message['id']}/read") for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["read_at"] for answer in answers}) == 1
    assert len(await recorded(muster, "message.read", chain=people.project_id)) == 1


async def test_the_list_is_filtered(
    people: People, ada: dict[str, Any], bob: dict[str, Any]
) -> None:
    one = await send(people, recipient_agent_id="ada", body="one")
    await send(people, sender_agent_id="ada", recipient_agent_id="bob", body="two", subject="50%")
    await send(people, sender_agent_id="bob", channel="news", body="three")

    assert await bodies(people) == ["three", "two", "one"]
    assert await bodies(people, agent_id=ada["id"]) == ["two", "one"]
    assert await bodies(people, agent_id="ada", unread=True) == ["one"]
    assert await bodies(people, channel="#News") == ["three"]
    assert await bodies(people, search="50%") == ["two"]
    assert await bodies(people, limit=1, offset=1) == ["two"]
    await people.operator.patch(f"/messages/{one['id']}/read")
    assert await bodies(people, agent_id="ada", unread=True) == []
    assert await bodies(people, unread=False) == ["one"]
    assert (await people.viewer.get("/messages", params={"agent_id": "x"})).status_code == 404


async def test_a_reply_goes_where_the_message_came_from(
    people: People, ada: dict[str, Any], bob: dict[str, Any]
) -> None:
    direct = await send(people, sender_agent_id="ada", recipient_agent_id="bob")
    posted = await send(people, sender_agent_id="ada", channel="news")
    by_person = await send(people, recipient_agent_id="ada")

    answer = await send(people, sender_agent_id="bob", reply_to=direct["id"])
    assert (answer["recipient_agent_id"], answer["reply_to"]) == (ada["id"], direct["id"])
    thread = await send(people, sender_agent_id="bob", reply_to=posted["id"])
    assert (thread["channel"], thread["recipient_agent_id"]) == ("news", ada["id"])
    elsewhere = await send(people, reply_to=direct["id"], channel="other")
    assert (elsewhere["channel"], elsewhere["recipient_agent_id"]) == ("other", None)
    nowhere = await people.operator.post(
        "/messages/send", json={"body": "x", "reply_to": by_person["id"]}
    )
    assert nowhere.json()["error"] == "message_unaddressed"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"body": "x"}, 422, "message_unaddressed"),
        ({"body": "x", "channel": "c", "reply_to": "none"}, 422, "message_reply_unknown"),
        ({"body": " ", "channel": "c"}, 422, "validation_error"),
        ({"body": "x", "channel": "two words"}, 422, "validation_error"),
        ({"body": "x", "channel": 5}, 422, "validation_error"),
        ({"body": "x" * 20_001, "channel": "c"}, 422, "validation_error"),
        ({"body": "x", "recipient_agent_id": "nobody"}, 404, "agent_not_found"),
        ({"body": "x", "channel": "c", "sender_agent_id": "nobody"}, 404, "agent_not_found"),
    ],
)
async def test_what_cannot_be_sent(
    people: People, body: dict[str, Any], status: int, error: str
) -> None:
    answer = await people.operator.post("/messages/send", json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text


async def test_channels(people: People, ada: dict[str, Any]) -> None:
    await send(people, channel="news")
    last = await send(people, channel="news")
    await send(people, channel="talk")
    await send(people, recipient_agent_id="ada")
    await people.operator.patch(f"/messages/{last['id']}/read")

    body = (await people.viewer.get("/messages/channels")).json()
    shown = [(c["name"], c["messages"], c["unread"]) for c in body["channels"]]
    assert shown == [("talk", 1, 1), ("news", 2, 1)]
    assert (body["total"], body["has_more"]) == (2, False)
    assert body["channels"][1]["last_message_at"] == last["created_at"]
    page = (await people.viewer.get("/messages/channels", params={"limit": 1})).json()
    assert (len(page["channels"]), page["has_more"]) == (1, True)
    assert (await people.outsider.get("/messages/channels")).json()["channels"] == []


async def test_who_may(people: People, ada: dict[str, Any]) -> None:
    message = await send(people, recipient_agent_id="ada")
    path = f"/messages/{message['id']}"
    body = {"body": "x", "recipient_agent_id": ada["id"]}

    assert (await people.viewer.post("/messages/send", json=body)).status_code == 403
    assert (await people.viewer.patch(f"{path}/read")).status_code == 403
    assert (await people.viewer.delete(path)).status_code == 403
    assert (await people.outsider.get(path)).status_code == 404
    assert (await people.outsider.patch(f"{path}/read")).status_code == 404
    assert (await people.outsider.delete(path)).status_code == 404
    assert (await people.outsider.post("/messages/send", json=body)).status_code == 404
    assert (await people.outsider.get("/messages")).json()["total"] == 0
    foreign = {"body": "x", "channel": "c", "reply_to": message["id"]}
    assert (await people.outsider.post("/messages/send", json=foreign)).status_code == 422


async def test_agents_write_to_each_other(
    muster: Muster, people: People, ada: dict[str, Any], bob: dict[str, Any]
) -> None:
    sent = await act(
        muster, as_agent(people, ada), "send_message", to="bob", subject="Hi", body="Are you there?"
    )
    again = await act(
        muster, as_agent(people, ada), "send_message", to="bob", subject="Hi", body="Are you there?"
    )
    assert again.content == sent.content, "the same step sends once"
    read = await act(muster, as_agent(people, bob, "one"), "read_messages")
    (message,) = read.content["messages"]
    assert (message["from"], message["body"]) == ("Ada", "Are you there?")
    retried = await act(muster, as_agent(people, bob, "one"), "read_messages")
    assert retried.content == read.content, "the same step reads the same"
    later = await act(muster, as_agent(people, bob, "two"), "read_messages")
    assert later.content["messages"] == []
    everything = await act(muster, as_agent(people, bob), "read_messages", unread_only=False)
    assert everything.content == read.content

    await act(
        muster, as_agent(people, bob), "send_message", reply_to=message["id"], body="Yes, here."
    )
    back = await act(muster, as_agent(people, ada), "read_messages")
    assert [m["body"] for m in back.content["messages"]] == ["Yes, here."]

    shown = (await people.viewer.get(f"/messages/{message['id']}")).json()
    assert shown["is_read"]
    assert shown["run_id"] == "run-ada"
    facts = await recorded(muster, "message.new", "message.read", chain=people.project_id)
    assert [fact.type for fact in facts] == [
        "message.new",
        "message.read",
        "message.new",
        "message.read",
    ]
    assert facts[1].data["reader_agent_id"] == bob["id"]
    assert facts[0].actor_name == "Ada"


async def test_every_agent_reads_a_channel_for_itself(
    muster: Muster, people: People, ada: dict[str, Any], bob: dict[str, Any]
) -> None:
    eve = await make_agent(people, "Eve")
    await send(people, channel="news", body="from a person")
    await act(muster, as_agent(people, ada), "send_message", channel="#News", body="from Ada")

    for reader, expected in (
        (ada, ["from a person"]),
        (bob, ["from a person", "from Ada"]),
        (eve, ["from a person", "from Ada"]),
        (bob, []),
    ):
        step = f"after {expected}"
        found = await act(muster, as_agent(people, reader, step), "read_messages", channel="#News")
        assert [m["body"] for m in found.content["messages"]] == expected
    own = await act(muster, as_agent(people, bob), "read_messages")
    assert own.content["messages"] == []


async def test_agents_that_read_at_once_read_each_message_once(
    muster: Muster, people: People, bob: dict[str, Any]
) -> None:
    for number in range(4):
        await send(people, recipient_agent_id="bob", body=str(number))

    outcomes = await asyncio.gather(
        *(
            act(muster, as_agent(people, bob, f"step {n}"), "read_messages", limit=2)
            for n in range(3)
        )
    )

    found = [m["body"] for outcome in outcomes for m in outcome.content["messages"]]
    assert sorted(found) == ["0", "1", "2", "3"]


async def test_what_is_deleted_meanwhile_is_not_read(
    muster: Muster, people: People, bob: dict[str, Any]
) -> None:
    messages = [await send(people, recipient_agent_id="bob", body=str(n)) for n in range(4)]

    reading = asyncio.create_task(act(muster, as_agent(people, bob), "read_messages"))
    answers = await asyncio.gather(
        *(people.operator.delete(f"/messages/{message['id']}") for message in messages),
        *(people.operator.patch(f"/messages/{message['id']}/read") for message in messages),
    )

    assert {answer.status_code for answer in answers} <= {200, 204, 404}
    assert len((await reading).content["messages"]) <= 4
    assert await bodies(people) == []


async def test_what_agents_cannot_send(muster: Muster, people: People, ada: dict[str, Any]) -> None:
    context = as_agent(people, ada)
    with pytest.raises(ToolInputInvalid, match="channel"):
        await act(muster, context, "send_message", channel="two words", body="x")
    bare = ToolContext(project_id=people.project_id)
    with pytest.raises(ToolFailed):
        await act(muster, bare, "send_message", to="ada", body="x")
    unfit = await act(muster, context, "send_message", to="ada")
    assert unfit.is_error
