"""Following a run live over real connections: server-sent events and WebSocket."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from muster.domains.work.journal import run_topic
from muster.domains.work.runs import follow, wait_for_end
from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.platform.event_client import client
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.support.serving import serving
from tests.work.driving import make_agent, open_approval, start, until

pytestmark = pytest.mark.anyio

WAIT_S = 20
COMPUTE = Reply(tool_calls=[{"name": "calculator", "arguments": {"expression": "6*7"}}])
ANSWER = "The answer is forty-two, as everybody knows."


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    event: str
    data: dict[str, Any]
    id: str | None


def token_of(client: httpx2.AsyncClient) -> str:
    return str(client.headers["authorization"]).removeprefix("Bearer ")


@pytest.fixture
async def address(working: Muster) -> AsyncIterator[str]:
    async with serving(working.app) as address:
        yield address


@pytest.fixture
def slow(scripted: ScriptedServer) -> None:
    """A model that calls a tool and then speaks a few letters at a time."""
    scripted.script = Script(
        select="turn", replies=[COMPUTE, Reply(text=ANSWER, thinking="Hm.", chunk_delay_s=0.1)]
    )


@asynccontextmanager
async def stream(
    address: str, client: httpx2.AsyncClient, run_id: str, after: int | None = None, **headers: str
) -> AsyncGenerator[AsyncIterator[Event]]:
    async with (
        httpx2.AsyncClient(timeout=WAIT_S) as http,
        http.stream(
            "GET",
            f"http://{address}/api/v1/execution-logs/{run_id}/stream",
            params={} if after is None else {"after": after},
            headers={"authorization": f"Bearer {token_of(client)}", **headers},
        ) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)


async def _events(response: httpx2.Response) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line and "event" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}
        name, colon, value = line.partition(": ")
        if colon:
            fields[name] = value


async def whole(
    address: str, client: httpx2.AsyncClient, run_id: str, after: int | None = None, **headers: str
) -> list[Event]:
    async with asyncio.timeout(WAIT_S), stream(address, client, run_id, after, **headers) as events:
        return [event async for event in events]


@asynccontextmanager
async def watching(
    address: str, client: httpx2.AsyncClient | None, run_id: str, query: str = ""
) -> AsyncGenerator[Any]:
    headers = {"authorization": f"Bearer {token_of(client)}"} if client else {}
    uri = f"ws://{address}/api/v1/execution-logs/{run_id}/stream{query}"
    async with connect(uri, additional_headers=headers, proxy=None) as socket:
        yield socket


async def messages(socket: Any) -> list[dict[str, Any]]:
    """Everything until the server closes."""
    async with asyncio.timeout(WAIT_S):
        # A close with another code than 1000 raises.
        return [json.loads(message) async for message in socket]


def ids(events: list[Event]) -> list[str]:
    return [event.id for event in events if event.id is not None]


async def nobody_follows(muster: Muster, run_id: str) -> None:
    topics = muster.live._subscriptions
    async with asyncio.timeout(WAIT_S):
        while run_topic(run_id) in topics:
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("slow")
async def test_everything_comes_in_order_while_it_happens(
    people: People, address: str, working: Muster
) -> None:
    run_id = await start(people.operator, await make_agent(people.editor))
    events: list[Event] = []
    async with asyncio.timeout(WAIT_S), stream(address, people.viewer, run_id) as coming:
        early = False
        async for event in coming:
            if event.event == "token" and not early:
                early = True
                run = (await people.viewer.get(f"/executions/{run_id}")).json()
                assert run["status"] == "running", "the words come while the model speaks"
            events.append(event)
    assert early
    assert ids(events) == ["1", "2", "3", "4", "5"]
    logs = [e.data for e in events if e.event == "log"]
    assert [log["kind"] for log in logs] == [
        "task.start",
        "step.model",
        "step.exec",
        "step.model",
        "task.end",
    ]
    assert logs == (await people.viewer.get(f"/execution-logs/{run_id}")).json()["items"]
    words = [e.data for e in events if e.event == "token"]
    assert "".join(w["text"] for w in words if w["kind"] == "text") == ANSWER
    assert "".join(w["text"] for w in words if w["kind"] == "thinking") == "Hm."
    assert {w["key"] for w in words} == {"m2"}
    assert len(words) > 3
    names = [e.event for e in events]
    begun = names.index("step_started", names.index("token") - 2)
    assert begun < names.index("token") < len(names) - 1
    assert [e.data["key"] for e in events if e.event == "step_started"][-1] == "m2"
    statuses = [e.data["status"] for e in events if e.event == "status"]
    assert statuses[-2:] == ["running", "completed"]
    assert events[-1] == Event("end", {"execution_id": run_id, "status": "completed"}, None)
    await nobody_follows(working, run_id)


async def test_an_ended_run_is_told_whole_and_resumed_anywhere(
    people: People, address: str, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[COMPUTE, Reply(text=ANSWER)])
    run_id = await start(people.operator, await make_agent(people.editor))
    await until(people.viewer, run_id)

    async def seen(after: int | None = None, **headers: str) -> list[str]:
        events = await whole(address, people.viewer, run_id, after, **headers)
        assert [e.event for e in events[-2:]] == ["status", "end"]
        return ids(events)

    assert await seen() == ["1", "2", "3", "4", "5"]
    assert await seen(3) == ["4", "5"]
    assert await seen(None, **{"last-event-id": "4"}) == ["5"]
    assert await seen(1, **{"last-event-id": "4"}) == ["5"]
    assert await seen(5) == await seen(2**31 - 1) == []
    for odd in ("", "x", "-1", "9" * 5000, "99999999999"):
        assert await seen(2, **{"last-event-id": odd}) == ["3", "4", "5"], odd[:20]

    for query, count in (("", 5), ("?after=3", 2), ("?after=-9", 5), (f"?after={2**40}", 0)):
        async with watching(address, people.viewer, run_id, query) as socket:
            told = await messages(socket)
        assert [m["id"] for m in told if m["event"] == "log"] == list(range(6 - count, 6))
        assert [m["event"] for m in told[-2:]] == ["status", "end"]


@pytest.mark.usefixtures("slow")
async def test_the_socket_tells_the_same(people: People, address: str, working: Muster) -> None:
    run_id = await start(people.operator, await make_agent(people.editor))
    async with watching(address, people.viewer, run_id) as socket:
        told = await messages(socket)
    assert [m["id"] for m in told if m["event"] == "log"] == [1, 2, 3, 4, 5]
    words = [m["data"] for m in told if m["event"] == "token" and m["data"]["kind"] == "text"]
    assert "".join(word["text"] for word in words) == ANSWER
    assert told[-1]["event"] == "end"
    query = f"?token={token_of(people.viewer)}"
    async with watching(address, None, run_id, query) as socket:
        assert (await messages(socket))[-1]["event"] == "end"
    await nobody_follows(working, run_id)


@pytest.mark.usefixtures("slow")
async def test_many_follow_and_all_see_everything(people: People, address: str) -> None:
    run_id = await start(people.operator, await make_agent(people.editor))
    streams = [whole(address, people.viewer, run_id) for _ in range(15)]
    found = await asyncio.gather(*streams)
    assert all(ids(events) == ["1", "2", "3", "4", "5"] for events in found)
    assert all(events[-1].event == "end" for events in found)


async def test_who_leaves_leaves_nothing_behind(
    people: People, address: str, working: Muster, scripted: ScriptedServer
) -> None:
    """In a run that waits for people nothing is sent that would show that nobody listens."""
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    scripted.script = Script(select="turn", replies=[COMPUTE, Reply(text=ANSWER)])
    run_id = await start(people.operator, await make_agent(people.editor))
    approval = await open_approval(people.viewer, run_id)
    async with asyncio.timeout(WAIT_S), stream(address, people.viewer, run_id) as events:
        async for event in events:
            if event.event == "status":
                assert event.data["status"] == "waiting_for_approval"
                break
    await nobody_follows(working, run_id)
    async with watching(address, people.viewer, run_id) as socket:
        await socket.send("whatever a client may say")
        while json.loads(await socket.recv())["event"] != "status":
            continue
        assert run_topic(run_id) in working.live._subscriptions
    await nobody_follows(working, run_id)
    await people.operator.post(f"/approvals/{approval['id']}/approve")
    assert (await until(people.viewer, run_id))["status"] == "completed"


async def test_outsiders_see_nothing(people: People, address: str) -> None:
    run_id = await start(people.operator, await make_agent(people.editor))
    await until(people.viewer, run_id)
    for person, code in ((people.outsider, 404), (None, 401)):
        headers = {"authorization": f"Bearer {token_of(person)}"} if person else {}
        async with httpx2.AsyncClient(headers=headers) as http:
            path = f"http://{address}/api/v1/execution-logs/{run_id}/stream"
            assert (await http.get(path)).status_code == code
        with pytest.raises((InvalidStatus, ConnectionClosed)) as refused:
            async with watching(address, person, run_id) as socket:
                await socket.recv()
        error = refused.value
        if isinstance(error, InvalidStatus):
            assert error.response.status_code == 403
        else:
            assert error.rcvd is not None
            assert error.rcvd.code == 1008
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        async with watching(address, people.viewer, run_id, "?after=x") as socket:
            await socket.recv()


@pytest.mark.usefixtures("slow")
async def test_another_process_tells_what_happens_in_this_one(
    people: People, working: Muster, settings: Settings
) -> None:
    """Two processes on one database: the words cross on PostgreSQL, the steps on both."""
    async with Muster(settings, engine="off") as other, serving(other.app) as address:
        agent = await make_agent(people.editor)
        made = httpx2.AsyncClient(
            base_url=f"http://{address}/api/v1",
            headers={"authorization": f"Bearer {token_of(people.operator)}"},
        )
        async with made as elsewhere:
            run_id = await start(elsewhere, agent, inputs={"prompt": "from elsewhere"})
            # That process gives it to nobody; the dispatcher of this one finds it.
            await asyncio.wait_for(_found(working, run_id), WAIT_S)
            events = await whole(address, people.viewer, run_id)
    assert ids(events) == ["1", "2", "3", "4", "5"]
    assert events[-1].event == "end"
    if not working.database.is_sqlite:
        words = [e.data["text"] for e in events if e.event == "token"]
        assert "".join(words).endswith(ANSWER[-20:])


async def _found(muster: Muster, run_id: str) -> None:
    while not await muster.running.parts.engine.known([f"{run_id}:1"]):
        await asyncio.sleep(0.05)


async def test_waiting_for_the_end(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[Reply(text=ANSWER, chunk_delay_s=0.1)])
    run_id = await start(people.operator, await make_agent(people.editor))
    early = await wait_for_end(working.database, working.live, run_id, 0)
    assert not early.is_final
    briefly = await wait_for_end(working.database, working.live, run_id, 0.2)
    assert not briefly.is_final
    run = await wait_for_end(working.database, working.live, run_id, WAIT_S)
    assert run.status == "completed"
    assert (await wait_for_end(working.database, working.live, run_id, 0)).is_final
    assert not working.live._subscriptions.get(run_topic(run_id))


async def test_a_run_that_is_not_there_has_nothing_to_follow(working: Muster) -> None:
    blobs = working.running.parts.blobs
    items = follow(working.database, working.live, blobs, "no-such-run")
    assert [item async for item in items] == []


# -- over the connection of the events -------------------------------------------------------------


@pytest.mark.usefixtures("slow")
async def test_a_run_is_followed_beside_the_events(
    people: People, address: str, working: Muster
) -> None:
    run_id = await start(people.operator, await make_agent(people.editor))
    told: list[dict[str, Any]] = []
    async with client(address, token_of(people.viewer)) as socket:
        await socket.subscribe("run.completed")
        answer = await socket.ask({"type": "follow", "execution_id": run_id})
        assert answer == {"type": "following", "execution_id": run_id}
        again = await socket.ask({"type": "follow", "execution_id": run_id})
        while again["type"] == "execution":
            told.append(again)
            again = await socket.receive()
        assert again["error"] == "followed_already"
        while not (told and told[-1]["type"] == "execution" and told[-1]["event"] == "end"):
            told.append(await socket.receive())
        items = [m for m in told if m["type"] == "execution"]
        assert {m["execution_id"] for m in items} == {run_id}
        assert [m["id"] for m in items if m["event"] == "log"] == [1, 2, 3, 4, 5]
        words = [m["data"]["text"] for m in items if m["event"] == "token"]
        assert "".join(words).endswith(ANSWER)
        assert items[-1]["data"]["status"] == "completed"
        # What has ended can be followed again, from where one was.
        await socket.send({"type": "follow", "execution_id": run_id, "after": 4})
        rest: list[dict[str, Any]] = []
        while not (rest and rest[-1].get("event") == "end"):
            rest.append(await socket.receive())
        assert [m["id"] for m in rest if m.get("event") == "log"] == [5]
    await nobody_follows(working, run_id)


async def test_who_leaves_or_lets_go_follows_no_more(
    people: People, address: str, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[Reply(hang=True)])
    agent = await make_agent(people.editor)
    runs = [await start(people.operator, agent) for _ in range(2)]
    async with client(address, token_of(people.viewer)) as socket:
        for run_id in runs:
            await socket.send({"type": "follow", "execution_id": run_id})
        await socket.send({"type": "unfollow", "execution_id": runs[0]})
        while (await socket.receive())["type"] != "unfollowed":
            continue
        await nobody_follows(working, runs[0])
        assert run_topic(runs[1]) in working.live._subscriptions
    await nobody_follows(working, runs[1])
    for run_id in runs:
        await people.operator.post(f"/executions/{run_id}/cancel")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"type": "follow"}, "invalid_message"),
        ({"type": "follow", "execution_id": 7}, "invalid_message"),
        ({"type": "follow", "execution_id": "x", "after": -1}, "invalid_message"),
        ({"type": "follow", "execution_id": "x", "after": True}, "invalid_message"),
        ({"type": "follow", "execution_id": "no such run"}, "run_not_found"),
        ({"type": "unfollow"}, "invalid_message"),
    ],
)
async def test_what_cannot_be_followed_is_answered(
    people: People, address: str, message: dict[str, Any], error: str
) -> None:
    async with client(address, token_of(people.viewer)) as socket:
        answer = await socket.ask(message)
        assert (answer["type"], answer["error"]) == ("error", error)
        assert (await socket.ask({"type": "ping"}))["type"] == "pong"


async def test_an_outsider_follows_nothing(people: People, address: str) -> None:
    run_id = await start(people.operator, await make_agent(people.editor))
    async with client(address, token_of(people.outsider)) as socket:
        answer = await socket.ask({"type": "follow", "execution_id": run_id})
        assert answer["error"] == "run_not_found"


async def test_not_too_many_runs_are_followed(
    people: People, address: str, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[Reply(hang=True)])
    agent = await make_agent(people.editor)
    runs = [await start(people.operator, agent) for _ in range(17)]
    async with client(address, token_of(people.viewer)) as socket:
        for run_id in runs:
            await socket.send({"type": "follow", "execution_id": run_id})
        while (answer := await socket.receive())["type"] != "error":
            continue
        assert answer["error"] == "too_many_executions"
    for run_id in runs:
        await people.operator.post(f"/executions/{run_id}/cancel")
