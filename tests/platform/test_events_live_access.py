"""Live events over a WebSocket, on a real server: who may listen, and for how long."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import connect

from muster.entrypoints.assembly import Muster
from muster.platform.events import proof, socket
from tests.platform.event_client import Client, client, token_of
from tests.platform.event_facts import (
    agent_created,
    tell,
)
from tests.support.people import People
from tests.support.serving import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def address(muster: Muster) -> AsyncIterator[str]:
    async with serving(muster.app) as address:
        yield address


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
