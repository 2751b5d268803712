"""Live events over a WebSocket, on a real server: what comes, in order, and with nothing lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import connect

from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from muster.platform.events import proof, socket, tail
from tests.platform.event_client import WAIT_S, client, token_of
from tests.platform.event_facts import (
    agent_created,
    agent_status,
    approval_requested,
    run_completed,
    run_created,
    run_started,
    tell,
)
from tests.support.people import People
from tests.support.serving import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def address(muster: Muster) -> AsyncIterator[str]:
    async with serving(muster.app) as address:
        yield address


@pytest.mark.parametrize("path", ["/ws", "/api/v1/ws", "/v1/ws", "/ws/"])
async def test_the_documented_exchange(
    muster: Muster, people: People, address: str, path: str
) -> None:
    async with client(address, token_of(people.viewer), path) as viewer:
        assert await viewer.ask({"type": "ping"}) == {"type": "pong"}
        answer = await viewer.ask({"type": "subscribe", "event": "task.completed"})
        assert answer["type"] == "subscribed"
        assert answer["events"] == ["task.completed"]
        await tell(muster, people.project_id, run_created(), run_completed())
        event = await viewer.receive()

    listed = (await people.viewer.get("/events")).json()["items"][0]
    assert listed["type"] == "run.completed"
    assert event == {
        "type": "task.completed",
        "event": "task.completed",
        "seq": listed["seq"],
        "id": listed["id"],
        "timestamp": listed["created_at"],
        "data": listed["data"],
        "subject": {"type": "run", "id": "run-1"},
        "actor": {"kind": "system", "id": "system", "name": "system"},
        "project_id": people.project_id,
    }


async def test_nothing_comes_before_a_subscription_and_only_what_was_asked_for(
    muster: Muster, people: People, address: str
) -> None:
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.ask({"type": "ping"})
        await tell(muster, people.project_id, agent_created("Before"))
        await viewer.subscribe("agent.*")
        await tell(muster, people.project_id, run_created(), agent_created("After"))
        assert (await viewer.receive())["data"]["name"] == "After"


async def test_documented_names_stand_for_what_is_recorded(
    muster: Muster, people: People, address: str
) -> None:
    told = [run_created(), run_started(), agent_status(), run_completed(), approval_requested()]
    async with AsyncExitStack() as stack:
        token = token_of(people.viewer)
        by_name = await stack.enter_async_context(client(address, token))
        by_family = await stack.enter_async_context(client(address, token))
        everything = await stack.enter_async_context(client(address, token))
        await by_name.subscribe("task.created", "task.updated", "agent.status", "notification")
        await by_family.subscribe("task.*")
        await everything.subscribe("*")
        await tell(muster, people.project_id, *told, agent_created("Last"))

        names = [(await by_name.receive())["type"] for _ in range(4)]
        family = [(await by_family.receive())["type"] for _ in range(3)]
        own = [(await everything.receive())["type"] for _ in range(6)]

    assert names == ["task.created", "task.updated", "agent.status", "notification"]
    assert family == ["task.created", "task.updated", "task.completed"]
    assert own == [*(event.type for event in told), "agent.created"]


async def test_a_literal_name_goes_before_a_wildcard(
    muster: Muster, people: People, address: str
) -> None:
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.subscribe("*", "task.completed")
        await tell(muster, people.project_id, run_created(), run_completed(), agent_created())

        assert [(await viewer.receive())["type"] for _ in range(3)] == [
            "run.created",
            "task.completed",
            "agent.created",
        ]


async def test_what_was_unsubscribed_does_not_come_any_more(
    muster: Muster, people: People, address: str
) -> None:
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.subscribe("run.*", "agent.*")
        answer = await viewer.ask({"type": "unsubscribe", "event": "run.*"})
        assert answer == {"type": "unsubscribed", "events": ["agent.*"]}
        await tell(muster, people.project_id, run_created(), agent_created())
        assert (await viewer.receive())["type"] == "agent.created"


async def test_a_client_goes_on_where_it_was(muster: Muster, people: People, address: str) -> None:
    await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(3)))
    listed = (await people.viewer.get("/events", params={"type": "run.*"})).json()["items"]
    async with client(address, token_of(people.viewer)) as viewer:
        answer = await viewer.subscribe("run.*", after_seq=listed[-1]["seq"])
        assert answer["seq"] == listed[-1]["seq"]
        missed = [(await viewer.receive())["data"]["run_id"] for _ in range(2)]
        await tell(muster, people.project_id, run_created("run-3"))
        new = (await viewer.receive())["data"]["run_id"]

    assert [*missed, new] == ["run-1", "run-2", "run-3"]


async def test_the_answer_says_where_to_resume(
    muster: Muster, people: People, address: str
) -> None:
    async with client(address, token_of(people.viewer)) as viewer:
        await tell(muster, people.project_id, run_created())
        newest = (await people.viewer.get("/events")).json()["items"][0]["seq"]
        assert (await viewer.subscribe("run.*"))["seq"] == newest
        await tell(muster, people.project_id, run_created())
        assert (await viewer.receive())["seq"] == newest + 1
        assert (await viewer.subscribe("agent.*"))["seq"] == newest + 1


async def test_a_long_past_comes_in_order_and_whole(
    muster: Muster, people: People, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_BATCH", 10)
    await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(35)))
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.subscribe("run.created", after_seq=0)
        ids = [(await viewer.receive())["data"]["run_id"] for _ in range(20)]
        await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(35, 50)))
        ids += [(await viewer.receive())["data"]["run_id"] for _ in range(30)]

    assert ids == [f"run-{n}" for n in range(50)]


async def test_a_full_queue_loses_nothing(
    muster: Muster, people: People, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_QUEUE", 3)
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.subscribe("run.created")
        for begin in range(0, 60, 20):
            events = [run_created(f"run-{n}") for n in range(begin, begin + 20)]
            await tell(muster, people.project_id, *events)
        ids = [(await viewer.receive())["data"]["run_id"] for _ in range(60)]

    assert ids == [f"run-{n}" for n in range(60)]


async def test_events_of_another_process_come_too(
    muster: Muster, people: People, address: str, settings: Settings
) -> None:
    async with (
        Muster(settings, engine="off") as other,
        client(address, token_of(people.viewer)) as viewer,
    ):
        await viewer.subscribe("agent.created")
        await tell(other, people.project_id, agent_created("Elsewhere"))
        assert (await viewer.receive())["data"]["name"] == "Elsewhere"


async def test_another_project_hears_nothing(muster: Muster, people: People, address: str) -> None:
    async with client(address, token_of(people.outsider)) as outsider:
        await outsider.subscribe("*")
        await tell(muster, people.project_id, agent_created("Secret"))
        await tell(muster, people.other_project_id, agent_created("Own"))
        assert (await outsider.receive())["data"]["name"] == "Own"


async def test_a_database_that_is_away_for_a_moment_disconnects_nobody(
    muster: Muster, people: People, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "CHECK_EVERY_S", 0.02)
    monkeypatch.setattr(tail, "_RETRY_S", 0.02)
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.subscribe("agent.*")
        authenticate, read, asked = muster.app.state.authenticate, muster.database.read, 0

        async def fail(_: Any) -> Any:
            nonlocal asked
            asked += 1
            raise ConnectionRefusedError

        def away() -> Any:
            raise ConnectionRefusedError

        muster.app.state.authenticate = fail
        monkeypatch.setattr(muster.database, "read", away)
        await tell(muster, people.project_id, agent_created("Kept"))
        await viewer.send({"type": "subscribe", "event": "agent.*", "after_seq": 0})
        assert (await viewer.receive())["type"] == "subscribed"
        async with asyncio.timeout(WAIT_S):
            while asked < 3:
                await asyncio.sleep(0.01)
        monkeypatch.setattr(muster.database, "read", read)
        muster.app.state.authenticate = authenticate
        assert (await viewer.receive())["data"]["name"] == "Kept"


async def test_a_client_that_does_not_read_harms_itself_alone(
    muster: Muster, people: People, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "SEND_WAIT_S", 0.3)
    token = token_of(people.viewer)
    url = f"ws://{address}/ws?token={token}"
    async with (
        connect(url, proxy=None, max_queue=1, compression=None) as deaf,
        client(address, token) as viewer,
    ):
        await deaf.send('{"type": "subscribe", "event": "*"}')
        await viewer.subscribe("agent.created")
        long = "x" * 100_000
        for number in range(200):
            await tell(muster, people.project_id, agent_created(f"{number}{long}"))
            assert (await viewer.receive())["data"]["name"].startswith(str(number))
            if muster.event_tail.chains and number > 100 and len(_followers(muster)) == 1:
                break
        assert len(_followers(muster)) == 1


def _followers(muster: Muster) -> list[Any]:
    reader = muster.event_tail._readers.get(
        next(c for c in muster.event_tail.chains if c != "platform")
    )
    assert reader is not None
    return [
        one
        for one in reader.listeners
        if isinstance(getattr(one, "__self__", None), tail.Following)
    ]


async def test_many_subscribers_cost_one_query(
    muster: Muster, people: People, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribers = 100
    reads = 0
    original = tail._ChainReader.read

    async def counted(self: Any, after: int) -> Any:
        nonlocal reads
        reads += 1
        return await original(self, after)

    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client(address, token_of(people.viewer)))
            for _ in range(subscribers)
        ]
        for each in clients:
            await each.subscribe("run.*")
        monkeypatch.setattr(tail._ChainReader, "read", counted)
        await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(10)))
        for each in clients:
            assert [(await each.receive())["data"]["run_id"] for _ in range(10)] == [
                f"run-{n}" for n in range(10)
            ]
        assert reads < subscribers / 4

    async with asyncio.timeout(WAIT_S):
        while muster.event_tail.chains:
            await asyncio.sleep(0.01)


async def test_a_move_while_the_table_is_read_wins(muster: Muster, people: People) -> None:
    await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(4)))
    async with muster.event_tail.follow(people.project_id, after=3) as following:
        following.wants = lambda _: True
        reading = asyncio.create_task(following.next())
        await asyncio.sleep(0)
        following.move(1)
        async with asyncio.timeout(WAIT_S):
            assert [event.seq for event in await reading] == [2, 3, 4]


async def test_stopping_ends_the_readers(muster: Muster, people: People) -> None:
    async with muster.event_tail.follow(people.project_id):
        assert muster.event_tail.chains == [people.project_id]
        await muster.event_tail.stop()
        assert muster.event_tail.chains == []
