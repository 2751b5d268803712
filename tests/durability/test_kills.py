"""Workers killed at every boundary between two steps, and anywhere in between."""

import asyncio
import random
from typing import Any

import pytest

from tests.durability.servers import call, calling
from tests.durability.world import World
from tests.support.model_scripts import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

KEYS = ["start", "m1", "t1.0", "m2", "t2.0", "t2.1", "m3", "end"]
"""Three calls of the model and three of tools, two of them outside and one built in."""


def journey(name: str) -> list[Reply]:
    return [
        calling(call("fetch", run=name, part="t1.0"), delay_s=0.04),
        calling(
            call("fetch", run=name, part="t2.0"), call("calculator", expression="6*7"), delay_s=0.04
        ),
        Reply(text=f"{name} is done.", delay_s=0.04),
    ]


@pytest.fixture
async def agent(world: World) -> dict[str, Any]:
    world.model.plans["journey"] = journey
    await world.tool("fetch", "GET")
    return await world.agent("fetch", "calculator")


async def test_killed_at_every_boundary(world: World, agent: dict[str, Any]) -> None:
    worker = await world.workers.start()
    for seq in range(len(KEYS) + 1):
        run = await world.start(agent, "journey", f"k{seq}")
        await world.until_seq(run, seq)
        await world.kill(worker, run)
        worker = await world.workers.start()
        await world.until_ended(run)
        await world.check(run, KEYS, f"k{seq} is done.")


async def test_killed_at_any_moment(world: World, agent: dict[str, Any]) -> None:
    chance = random.Random(20260101)
    worker = await world.workers.start()
    repeated = 0
    for number in range(8):
        runs = [await world.start(agent, "journey", f"r{number}x{n}") for n in range(3)]
        # The moment is what is left to chance, from before the first step to after the last.
        await asyncio.sleep(chance.uniform(0, 0.6))
        await world.kill(worker, *runs)
        worker = await world.workers.start()
        await world.until_ended(*runs)
        for run in runs:
            repeated += await world.check(run, KEYS, f"{run.name} is done.")
    # Were it never in the middle of a step, this test would prove nothing.
    assert repeated
