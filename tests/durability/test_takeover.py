"""Several workers, one of which dies: the others do its work, without a restart."""

import asyncio
from typing import Any

import pytest

from tests.durability.servers import call, calling, prompt
from tests.durability.workers import until
from tests.durability.world import World
from tests.support.model_scripts import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

KEYS = ["start", "m1", "t1.0", "m2", "t2.0", "m3", "end"]
LEASE_S = 30
"""Silence after which a worker is given up. A dead one on the same machine is seen at once."""


def errand(name: str) -> list[Reply]:
    return [
        calling(call("fetch", run=name, part="t1.0"), delay_s=0.1),
        calling(call("fetch", run=name, part="t2.0"), delay_s=0.1),
        Reply(text=f"{name} is done.", delay_s=0.1),
    ]


@pytest.fixture
async def agent(world: World) -> dict[str, Any]:
    world.model.plans["errand"] = errand
    world.tools.delay_s = 0.1
    await world.tool("fetch", "GET")
    return await world.agent("fetch", name="Runner")


async def test_another_worker_takes_over(world: World, agent: dict[str, Any]) -> None:
    for _ in range(2):
        await world.workers.start(MUSTER_RUNS_LEASE_S=str(LEASE_S))
    for seq in (1, 3, 5):
        run = await world.start(agent, "errand", f"s{seq}")
        await world.until_seq(run, seq)
        await world.kill(await world.executor(run), run)
        async with asyncio.timeout(LEASE_S):
            await world.until_ended(run)
        await world.check(run, KEYS, f"s{seq} is done.")
        assert (await world.head(run)).fence == 2
        await world.workers.start(MUSTER_RUNS_LEASE_S=str(LEASE_S))


async def test_fifty_runs_in_flight(world: World, agent: dict[str, Any]) -> None:
    each = 25
    limit = {"MUSTER_RUNS_CONCURRENCY": str(each)}
    worker = await world.workers.start(**limit)
    alone = world.control.database.is_sqlite
    if not alone:
        await world.workers.start(**limit)
    runs = await asyncio.gather(
        *(world.start(agent, "errand", f"f{number}") for number in range(50))
    )
    while sum(head.seq for head in await world.heads(runs)) < 60:
        await asyncio.sleep(0.01)
    await world.kill(worker, *runs)
    if alone:
        await world.workers.start(**limit)
    await world.until_ended(*runs)
    repeated = [await world.check(run, KEYS, f"{run.name} is done.") for run in runs]
    assert sum(repeated) <= each, "more was repeated than the dead worker had under way"


async def test_a_run_that_another_run_started(world: World, agent: dict[str, Any]) -> None:
    world.model.plans["asking"] = lambda name: [
        calling(call("ask_agent", agent="Runner", prompt=prompt("errand", f"{name}child"))),
        Reply(text="Both are done."),
    ]
    parent = await world.agent("ask_agent", name="Parent")
    run = await world.start(parent, "asking", "both")
    worker = await world.workers.start()
    world.tools.held.add(("bothchild", "t2.0"))
    await until(lambda: world.tools.asked["bothchild", "t2.0"])
    child = await world.child(run, "bothchild")
    await world.kill(worker, run, child)
    world.tools.held.clear()
    await world.workers.start()
    await world.until_ended(run, child)
    await world.check(child, KEYS, "bothchild is done.")
    await world.check(run, ["start", "m1", "t1.0", "m2", "end"], "Both are done.")
