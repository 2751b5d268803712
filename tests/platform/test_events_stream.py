"""Live events as server-sent events, on a real server."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from muster.platform.events import live_router
from tests.platform.event_facts import agent_created, run_completed, run_created, tell
from tests.support.people import People
from tests.support.serving import serving

pytestmark = pytest.mark.anyio

WAIT_S = 15.0


@pytest.fixture
async def address(muster: Muster) -> AsyncIterator[str]:
    async with serving(muster.app) as address:
        yield address


class Stream:
    """The lines of a stream, put together to events."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        event: dict[str, str] = {}
        async with asyncio.timeout(WAIT_S):
            async for line in self.lines:
                if line:
                    name, _, value = line.partition(":")
                    event[name or "comment"] = value.strip()
                elif event:
                    return event
        raise EOFError

    async def data(self) -> dict[str, Any]:
        return json.loads((await self.next())["data"])


@asynccontextmanager
async def stream(
    address: str, people: People, *, token: str | None = None, last: str = "", **params: Any
) -> AsyncGenerator[Stream]:
    headers = {"Last-Event-ID": last} if last else {}
    if token is None:
        headers["Authorization"] = people.viewer.headers["authorization"]
    else:
        params["token"] = token
    async with (
        httpx2.AsyncClient(base_url=f"http://{address}", timeout=WAIT_S) as client,
        client.stream("GET", "/api/v1/events/stream", params=params, headers=headers) as response,
    ):
        yield Stream(response)


async def test_events_come_as_they_happen(muster: Muster, people: People, address: str) -> None:
    async with stream(address, people) as events:
        assert events.response.status_code == 200
        assert events.response.headers["content-type"].startswith("text/event-stream")
        await tell(muster, people.project_id, run_completed())
        event = await events.next()

    listed = (await people.viewer.get("/events")).json()["items"][0]
    assert (event["event"], event["id"]) == ("run.completed", str(listed["seq"]))
    data = json.loads(event["data"])
    assert data["id"] == listed["id"]
    assert data["type"] == "run.completed"
    assert data["subject"] == listed["subject"]
    assert data["data"] == listed["data"]


async def test_only_the_wanted_types_come(muster: Muster, people: People, address: str) -> None:
    async with stream(address, people, types="agent.*,task.completed") as events:
        await tell(muster, people.project_id, run_created(), agent_created(), run_completed())

        assert [(await events.next())["event"] for _ in range(2)] == [
            "agent.created",
            "task.completed",
        ]


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_stream_is_resumed(
    muster: Muster, people: People, address: str, by_header: bool
) -> None:
    await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(4)))
    listed = (await people.viewer.get("/events", params={"type": "run.*"})).json()["items"]
    after = str(listed[2]["seq"])
    # The header that a browser sends by itself when it reconnects goes before the address.
    place = {"last": after, "after_seq": 0} if by_header else {"after_seq": after}
    async with stream(address, people, types="run.*", **place) as events:
        seen = [(await events.data())["data"]["run_id"] for _ in range(2)]
        await tell(muster, people.project_id, run_created("run-4"))
        seen.append((await events.data())["data"]["run_id"])

    assert seen == ["run-2", "run-3", "run-4"]


async def test_an_id_that_is_not_ours_is_ignored(
    muster: Muster, people: People, address: str
) -> None:
    await tell(muster, people.project_id, run_created("old"))
    async with stream(address, people, last="abc", types="run.*") as events:
        await tell(muster, people.project_id, run_created("new"))
        assert (await events.data())["data"]["run_id"] == "new"


async def test_the_token_may_be_in_the_query(muster: Muster, people: People, address: str) -> None:
    made = await people.viewer.post("/projects", json={"name": "Second"})
    second = made.json()["id"]
    token = people.viewer.headers["authorization"].removeprefix("Bearer ")
    async with stream(address, people, token=token, project_id=second, types="run.*") as events:
        await tell(muster, people.project_id, run_created("first"))
        await tell(muster, second, run_created("second"))
        assert (await events.data())["data"]["run_id"] == "second"


@pytest.mark.parametrize(
    ("params", "status", "error"),
    [
        ({"token": "made-up"}, 401, "invalid_token"),
        ({"token": ""}, 401, "missing_token"),
        ({"types": "No Type"}, 422, "validation_error"),
        ({"after_seq": -1}, 422, "validation_error"),
        ({"project_id": "made-up"}, 404, "project_not_found"),
        ({"unknown": "x"}, 422, "validation_error"),
    ],
)
async def test_what_cannot_be_streamed_is_refused(
    muster: Muster, people: People, address: str, params: dict[str, Any], status: int, error: str
) -> None:
    async with stream(address, people, **params) as events:
        body = json.loads(await events.response.aread())
        assert (events.response.status_code, body["error"]) == (status, error)


async def test_a_stream_needs_a_token(muster: Muster, anonymous: httpx2.AsyncClient) -> None:
    answer = await anonymous.get("/events/stream")

    assert answer.status_code == 401
    assert answer.json()["error"] == "missing_auth"


async def test_a_key_without_the_scope_is_refused(
    people: People, connect: Any, muster: Muster
) -> None:
    made = await people.owner.post("/auth/api-keys", json={"name": "agents", "kind": "agent"})
    agent = connect(Authorization=f"Bearer {made.json()['key']}")

    for path in ("/events/stream", "/events"):
        answer = await agent.get(path)
        assert answer.status_code == 403
        assert answer.json()["error"] == "insufficient_role"


async def test_the_stream_ends_with_the_access(
    muster: Muster, people: People, address: str
) -> None:
    async with stream(address, people, types="run.*") as events:
        await tell(muster, people.project_id, run_created())
        await events.next()
        assert (await people.viewer.post("/auth/logout")).status_code < 300
        with pytest.raises(EOFError):
            await events.next()

    async with asyncio.timeout(WAIT_S):
        while muster.event_tail.chains:
            await asyncio.sleep(0.01)


async def test_a_quiet_stream_is_kept_open_by_comments(
    muster: Muster, people: People, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_router, "_PING_S", 0.05)
    async with stream(address, people, types="run.*") as events:
        assert (await events.next())["comment"].startswith("ping")
