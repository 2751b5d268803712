"""Small moves that the tests of runs share."""

import asyncio
import contextlib
import time
from typing import Any

import httpx2

from muster.domains.work.journal import run_topic
from muster.kernel.live import LiveBus, Subscription
from tests.support.model_server import ScriptedServer
from tests.support.people import People

FINAL = {"completed", "failed", "cancelled", "stopped", "rejected"}
_PATIENCE_S = 20
_LOOK_AGAIN_S = 0.25


async def make_agent(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = {"name": "Tester", "llm": "openai/scripted-large", "tools": ["calculator"], **fields}
    answer = await client.post("/agents", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def start(client: httpx2.AsyncClient, agent: dict[str, Any], **body: Any) -> str:
    given = {"agent_id": agent["id"], "inputs": {"prompt": "Go"}, **body}
    answer = await client.post("/executions", json=given)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["execution_id"])


async def until(client: httpx2.AsyncClient, run_id: str, *statuses: str) -> dict[str, Any]:
    """Return the run as soon as it has one of the statuses (any final one by default)."""
    wanted = set(statuses) or FINAL
    deadline = time.monotonic() + _PATIENCE_S
    async with _live(client).subscribe(run_topic(run_id)) as news:
        while True:
            run = (await client.get(f"/executions/{run_id}")).json()
            if run["status"] in wanted:
                return run
            assert time.monotonic() < deadline, f"still {run['status']}: {run['error']}"
            assert run["status"] not in FINAL, run
            await _told_of_status(news)


def _live(client: httpx2.AsyncClient) -> LiveBus:
    """Return the live bus of the application behind a client."""
    return client._transport.app.state.live  # type: ignore[attr-defined]


async def _told_of_status(news: Subscription) -> None:
    """Wait until a run may have another status: to ask all the time costs more than to run."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_AGAIN_S):
            while (message := await news.get()) and message["type"] != "status":
                pass


async def open_approval(client: httpx2.AsyncClient, run_id: str) -> dict[str, Any]:
    await until(client, run_id, "waiting_for_approval")
    (approval,) = (await client.get("/approvals", params={"run_id": run_id})).json()["items"]
    return approval


async def decide(people: People, run_id: str, verb: str, **body: Any) -> None:
    asked = await open_approval(people.owner, run_id)
    said = await people.owner.post(f"/approvals/{asked['id']}/{verb}", json=body)
    assert said.status_code == 200, said.text


async def spans(client: httpx2.AsyncClient, run_id: str) -> list[dict[str, Any]]:
    return (await client.get(f"/execution-trace/{run_id}")).json()["spans"]


async def asked(server: ScriptedServer, count: int) -> None:
    """Wait until the model was asked so often."""
    deadline = time.monotonic() + 30
    while len(server.calls) < count:
        assert time.monotonic() < deadline, len(server.calls)
        await asyncio.sleep(0.01)
