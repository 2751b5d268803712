"""The same wish many times at once has one effect."""

import asyncio
from typing import Any

import pytest

from tests.durability.servers import call, calling, prompt
from tests.durability.world import Started, World
from tests.support.model_scripts import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

TIMES = 50


async def together(world: World, path: str, **more: Any) -> list[tuple[int, dict[str, Any]]]:
    """Ask for the same fifty times at once; return statuses and answers."""
    client = world.people.operator
    answers = await asyncio.gather(*(client.post(path, **more) for _ in range(TIMES)))
    return [(answer.status_code, answer.json()) for answer in answers]


async def test_fifty_wishes_have_one_effect(world: World) -> None:
    world.model.plans["fetch"] = lambda name: [
        calling(call("fetch", run=name, part="t1.0")),
        Reply(text="Done."),
    ]
    await world.tool("fetch", "GET")
    agent = await world.agent("fetch")
    await world.workers.start()

    world.tools.held.add(("one", "t1.0"))
    body = {"agent_id": agent["id"], "inputs": {"prompt": prompt("fetch", "one")}}
    key = {"Idempotency-Key": "start-it-once"}
    answers = await together(world, "/executions", json=body, headers=key)
    assert {status for status, _ in answers} == {201}
    ids = {answer["execution_id"] for _, answer in answers}
    assert len(ids) == 1
    assert (await world.people.viewer.get("/executions")).json()["total"] == 1
    run = Started(ids.pop(), "one")
    await world.until_asked(run, "t1.0")

    statuses = sorted(status for status, _ in await together(world, f"/executions/{run.id}/cancel"))
    assert statuses == [200] + [409] * (TIMES - 1)
    assert (await world.get(run))["status"] == "cancelled"
    await world.until_seq(run, 4)
    assert await world.keys(run) == ["start", "m1", "t1.0", "end"]

    world.tools.held.clear()
    statuses = sorted(status for status, _ in await together(world, f"/executions/{run.id}/resume"))
    assert statuses == [200] + [409] * (TIMES - 1)
    await world.until_ended(run)
    read = await world.get(run)
    assert (read["status"], read["result"]) == ("completed", "Done.")
    assert (await world.head(run)).segment == 2
    assert await world.keys(run) == ["start", "m1", "t1.0", "end", "t1.0~2", "m2", "end~2"]
    assert world.model.asked == {("one", 1): 1, ("one", 2): 1}
    assert world.tools.asked == {("one", "t1.0"): 2}
    await world.verify(run)
    events = (await world.people.viewer.get("/events", params={"limit": 200})).json()["items"]
    told = [event["type"] for event in events if event["type"].startswith("run.")]
    assert sorted(told) == sorted(
        ["run.created", "run.started", "run.cancelled", "run.resumed", "run.completed"]
    )


async def test_many_workers_and_one_run(world: World) -> None:
    """Whoever is quickest has it; nobody else does anything."""
    world.model.plans["plain"] = lambda name: [Reply(text=f"{name} is done.", delay_s=0.05)]
    agent = await world.agent()
    for _ in range(2):
        await world.workers.start()
    runs = await asyncio.gather(*(world.start(agent, "plain", f"p{n}") for n in range(20)))
    await world.until_ended(*runs)
    for run in runs:
        assert await world.check(run, ["start", "m1", "end"], f"{run.name} is done.") == 0
    assert {head.fence for head in await world.heads(runs)} == {1}
