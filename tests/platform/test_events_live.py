"""Live events over a WebSocket, on a real server."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from muster.platform.events import proof, socket, tail
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

WAIT_S = 15.0


def token_of(client: Any) -> str:
    return str(client.headers["authorization"]).removeprefix("Bearer ")


class Client:
    """One end of a WebSocket that speaks JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            return json.loads(await self.connection.recv())

    async def ask(self, message: Any) -> dict[str, Any]:
        await self.send(message)
        return await self.receive()

    async def subscribe(self, *events: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask({"type": "subscribe", "events": list(events), **more})
        assert answer["type"] == "subscribed"
        return answer

    async def closed(self) -> tuple[int, str]:
        """Wait for the server to close; return the code and the reason."""
        with pytest.raises(ConnectionClosed) as caught:
            async with asyncio.timeout(WAIT_S):
                while True:
                    await self.connection.recv()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.fixture
async def address(muster: Muster) -> AsyncIterator[str]:
    async with serving(muster.app) as address:
        yield address


@asynccontextmanager
async def client(address: str, token: str | None, path: str = "/ws") -> AsyncGenerator[Client]:
    query = "" if token is None else f"?token={token}"
    async with connect(f"ws://{address}{path}{query}", proxy=None) as connection:
        yield Client(connection)


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
    async with Muster(settings, engine="off") as other:
        async with client(address, token_of(people.viewer)) as viewer:
            await viewer.subscribe("agent.created")
            await tell(other, people.project_id, agent_created("Elsewhere"))
            assert (await viewer.receive())["data"]["name"] == "Elsewhere"


async def test_another_project_hears_nothing(muster: Muster, people: People, address: str) -> None:
    async with client(address, token_of(people.outsider)) as outsider:
        await outsider.subscribe("*")
        await tell(muster, people.project_id, agent_created("Secret"))
        await tell(muster, people.other_project_id, agent_created("Own"))
        assert (await outsider.receive())["data"]["name"] == "Own"


async def test_a_project_can_be_named(muster: Muster, people: People, address: str) -> None:
    made = await people.viewer.post("/projects", json={"name": "Second"})
    second = made.json()["id"]
    token = token_of(people.viewer)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client(address, f"{token}&{name}={second}"))
            for name in ("group_id", "project_id")
        ]
        for name in ("group_id", "project_id"):
            asked = await stack.enter_async_context(client(address, None))
            await asked.send({"type": "auth", "token": token, name: second})
            clients.append(asked)
        for each in clients:
            await each.subscribe("agent.*")
        await tell(muster, people.project_id, agent_created("First"))
        await tell(muster, second, agent_created("Second"))
        for each in clients:
            assert (await each.receive())["project_id"] == second


@pytest.mark.parametrize(
    "first",
    [
        {"type": "auth"},
        {},
        {"type": "subscribe", "event": "agent.created"},
    ],
)
async def test_the_token_may_come_in_the_first_message(
    muster: Muster, people: People, address: str, first: dict[str, Any]
) -> None:
    async with client(address, None) as viewer:
        await viewer.send({**first, "token": token_of(people.viewer)})
        if first.get("type") == "subscribe":
            assert (await viewer.receive())["events"] == ["agent.created"]
        else:
            await viewer.subscribe("agent.created")
        await tell(muster, people.project_id, agent_created("Heard"))
        assert (await viewer.receive())["data"]["name"] == "Heard"


async def test_the_token_may_come_in_a_header(people: People, address: str) -> None:
    headers = {"Authorization": f"Bearer {token_of(people.viewer)}"}
    async with connect(f"ws://{address}/ws", additional_headers=headers, proxy=None) as connection:
        assert await Client(connection).ask({"type": "ping"}) == {"type": "pong"}


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ('{"type": "ping"}', "missing_auth"),
        ('{"type": "auth", "token": 7}', "missing_auth"),
        ("no json", "missing_auth"),
        ("[]", "missing_auth"),
        ('{"type": "auth", "token": "made up"}', "invalid_token"),
        ('{"type": "auth", "token": "\\u4e2d\\n"}', "invalid_token"),
    ],
)
async def test_without_a_good_token_the_connection_is_closed(
    muster: Muster, address: str, first: str, reason: str
) -> None:
    async with client(address, None) as stranger:
        await stranger.connection.send(first)
        assert await stranger.closed() == (1008, reason)


async def test_a_bad_token_in_the_query_closes_the_connection(muster: Muster, address: str) -> None:
    async with client(address, "made-up") as stranger:
        assert await stranger.closed() == (1008, "invalid_token")


async def test_a_foreign_project_closes_the_connection(people: People, address: str) -> None:
    token = f"{token_of(people.viewer)}&group_id={people.other_project_id}"
    async with client(address, token) as viewer:
        assert await viewer.closed() == (1008, "project_not_found")


async def test_a_silent_client_is_closed(
    muster: Muster, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "AUTHENTICATION_WAIT_S", 0.05)
    async with client(address, None) as stranger:
        assert await stranger.closed() == (1008, "authentication_timeout")


async def test_a_key_without_the_scope_is_refused(people: People, address: str) -> None:
    made = await people.owner.post("/auth/api-keys", json={"name": "agents", "kind": "agent"})
    assert made.status_code == 201, made.text
    async with client(address, made.json()["key"]) as agent:
        assert await agent.closed() == (1008, "insufficient_role")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ('{"type": "dance"}', "unknown_message"),
        ('{"type": ["ping"]}', "unknown_message"),
        ("{}", "unknown_message"),
        ("not json", "invalid_message"),
        ("[1]", "invalid_message"),
        ("[" * 5000, "invalid_message"),
        ('{"type": "ping", "x": "' + "x" * 70_000 + '"}', "message_too_large"),
        ('{"type": "subscribe"}', "invalid_message"),
        ('{"type": "subscribe", "event": "Task Completed"}', "invalid_message"),
        ('{"type": "subscribe", "events": [1]}', "invalid_message"),
        ('{"type": "subscribe", "event": "a", "after_seq": -1}', "invalid_message"),
        ('{"type": "subscribe", "event": "a", "after_seq": true}', "invalid_message"),
        (
            json.dumps({"type": "subscribe", "events": [f"e{n}" for n in range(101)]}),
            "too_many_events",
        ),
        ('{"type": "unsubscribe"}', "invalid_message"),
        ('{"type": "auth"}', "invalid_message"),
        ('{"type": "auth", "token": "made up"}', "invalid_token"),
    ],
)
async def test_a_message_that_cannot_be_followed_is_answered(
    people: People, address: str, message: str, error: str
) -> None:
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.connection.send(message)
        answer = await viewer.receive()
        assert (answer["type"], answer["error"]) == ("error", error)
        assert answer["message"]
        assert await viewer.ask({"type": "ping"}) == {"type": "pong"}


async def test_binary_messages_are_read_as_well(people: People, address: str) -> None:
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.connection.send(b'{"type": "ping"}')
        assert await viewer.receive() == {"type": "pong"}


async def test_a_connection_can_outlive_its_first_token(
    muster: Muster, people: People, address: str
) -> None:
    login = {"email": "viewer@muster.test", "password": "a long and quiet river"}
    newer = (await people.viewer.post("/auth/login", json=login)).json()["access_token"]
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.subscribe("agent.*")
        await viewer.send({"type": "auth", "token": newer})
        assert await viewer.ask({"type": "ping"}) == {"type": "pong"}
        other = await viewer.ask({"type": "auth", "token": token_of(people.editor)})
        assert other["error"] == "other_caller"
        assert (await people.viewer.post("/auth/logout")).status_code < 300
        await tell(muster, people.project_id, agent_created("Later"))
        assert (await viewer.receive())["data"]["name"] == "Later"
        assert await viewer.ask({"type": "ping"}) == {"type": "pong"}


async def test_the_end_of_a_session_closes_its_connections(people: People, address: str) -> None:
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.subscribe("*")
        assert (await people.viewer.post("/auth/logout")).status_code < 300
        assert await viewer.closed() == (1008, "invalid_token")


async def test_a_revoked_key_closes_its_connections(people: People, address: str) -> None:
    made = (await people.owner.post("/auth/api-keys", json={"name": "k", "kind": "user"})).json()
    async with client(address, made["key"]) as owner:
        assert await owner.ask({"type": "ping"}) == {"type": "pong"}
        assert (await people.owner.delete(f"/auth/api-keys/{made['id']}")).status_code < 300
        assert await owner.closed() == (1008, "invalid_token")


async def test_who_leaves_the_project_is_disconnected(people: People, address: str) -> None:
    me = (await people.viewer.get("/auth/me")).json()["id"]
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.subscribe("*")
        gone = await people.owner.delete(f"/projects/{people.project_id}/members/{me}")
        assert gone.status_code < 300, gone.text
        assert await viewer.closed() == (1008, "project_not_found")


async def test_a_deleted_project_disconnects_all(people: People, address: str) -> None:
    made = await people.viewer.post("/projects", json={"name": "Short"})
    project_id = made.json()["id"]
    async with client(address, f"{token_of(people.viewer)}&group_id={project_id}") as viewer:
        await viewer.subscribe("run.*")
        gone = await people.viewer.delete(f"/projects/{project_id}")
        assert gone.status_code < 300, gone.text
        assert await viewer.closed() == (1008, "project_not_found")


async def test_access_is_checked_now_and_then_without_any_event(
    muster: Muster, people: People, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "CHECK_EVERY_S", 0.05)
    async with client(address, token_of(people.viewer)) as viewer:
        await viewer.ask({"type": "ping"})

        async def nobody(_: Any) -> Any:
            raise socket.AuthenticationMissing

        muster.app.state.authenticate = nobody
        assert await viewer.closed() == (1008, "missing_auth")


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
    reader = muster.event_tail._readers.get(  # pyright: ignore[reportPrivateUsage]
        next(c for c in muster.event_tail.chains if c != "platform")
    )
    assert reader is not None
    return [one for one in reader.listeners if isinstance(getattr(one, "__self__", None), tail.Following)]


async def test_many_subscribers_cost_one_query(
    muster: Muster, people: People, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribers = 100
    reads = 0
    original = tail._ChainReader.read  # pyright: ignore[reportPrivateUsage]

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
        monkeypatch.setattr(tail._ChainReader, "read", counted)  # pyright: ignore[reportPrivateUsage]
        await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(10)))
        for each in clients:
            assert [(await each.receive())["data"]["run_id"] for _ in range(10)] == [
                f"run-{n}" for n in range(10)
            ]
        assert reads < subscribers / 4

    async with asyncio.timeout(WAIT_S):
        while muster.event_tail.chains:
            await asyncio.sleep(0.01)
