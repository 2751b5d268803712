"""A worker that was believed dead comes back: it must not touch what is another's now."""

import asyncio
import signal
from typing import Any

import pytest
from sqlalchemy import select, text

from muster.engine import Executor
from tests.durability.servers import call, calling
from tests.durability.workers import PATIENCE_S, Worker
from tests.durability.world import World
from tests.support.model_scripts import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

KEYS = ["start", "m1", "t1.0", "m2", "t2.0", "m3", "end"]
OPEN = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND state LIKE 'idle in transaction%' "
    "AND backend_xid IS NOT NULL"
)


def twice(name: str) -> list[Reply]:
    return [
        calling(call("fetch", run=name, part="t1.0")),
        calling(call("fetch", run=name, part="t2.0")),
        Reply(text=f"{name} is done."),
    ]


async def freeze(world: World, worker: Worker) -> None:
    """Stop a worker where it stands, but not in the middle of a transaction that changes something:
    it would keep its locks until its connections break.
    """
    while True:
        worker.signal(signal.SIGSTOP)
        for _ in range(20):
            async with world.control.database.read() as session:
                if not await session.scalar(OPEN):
                    return
            await asyncio.sleep(0.02)
        worker.signal(signal.SIGCONT)
        await asyncio.sleep(0.2)


async def leases(world: World, worker: Worker) -> list[bool]:
    """Tell of each lease of a worker whether it is over, the first one first."""
    async with world.control.database.read() as session:
        statement = select(Executor.stopped_at).where(Executor.pid == worker.pid)
        found = await session.scalars(statement.order_by(Executor.started_at))
        return [stopped is not None for stopped in found]


async def test_a_frozen_worker_comes_back_too_late(world: World) -> None:
    world.model.plans["twice"] = twice
    await world.tool("fetch", "GET")
    agent: dict[str, Any] = await world.agent("fetch")
    for _ in range(2):
        await world.workers.start(MUSTER_RUNS_LEASE_S="4")
    world.tools.held = {("cold", "t1.0"), ("cold", "t2.0")}
    run = await world.start(agent, "twice", "cold")
    await world.until_asked(run, "t1.0")
    first = await world.executor(run)

    await freeze(world, first)
    run.kills, run.finished = 1, set(await world.keys(run))
    await world.until_asked(run, "t1.0", 2)
    second = await world.executor(run)
    assert second is not first
    world.tools.held.discard(("cold", "t1.0"))
    await world.until_asked(run, "t2.0")
    taken = await world.head(run)
    assert (taken.fence, taken.seq) == (2, 4)

    # The answer of the tool lies in the first one's socket: it goes on as if nothing had been.
    first.signal(signal.SIGCONT)
    async with asyncio.timeout(PATIENCE_S):
        while await leases(world, first) != [True, False]:
            await asyncio.sleep(0.02)
    assert await world.head(run) == taken
    assert await world.has_job(run), "the late one ended the other's job"

    world.tools.held.clear()
    await world.until_ended(run)
    assert await world.check(run, KEYS, "cold is done.") == 1
    assert (await world.head(run)).fence == 2
    # And it works again, under its new lease.
    await world.kill(second)
    after = await world.start(agent, "twice", "warm")
    await world.until_ended(after)
    await world.check(after, KEYS, "warm is done.")
