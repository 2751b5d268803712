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
    "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
)


def twice(name: str) -> list[Reply]:
    return [
        calling(call("fetch", run=name, part="t1.0")),
        calling(call("fetch", run=name, part="t2.0")),
        Reply(text=f"{name} is done."),
    ]


async def freeze(world: World, worker: Worker) -> None:
    """Stop a worker where it stands, but not in the middle of a transaction, whose locks it would
    keep: its connections would have to break first.
    """
    while True:
        worker.signal(signal.SIGSTOP)
        for _ in range(20):
            async with world.control.database.read() as session:
                if not await session.scalar(OPEN):
                    return
            await asyncio.sleep(0.02)
        worker.signal(signal.SIGCONT)
        await asyncio.sleep(0.05)


async def leases(world: World, worker: Worker) -> list[bool]:
    """Tell of each lease of a worker whether it is over, the first one first."""
    async with world.control.database.read() as session:
        statement = select(Executor.stopped_at).where(Executor.pid == worker.pid)
        found = await session.scalars(statement.order_by(Executor.started_at))
        return [stopped is not None for stopped in found]


async def test_a_frozen_worker_comes_back_too_late(world: World) -> None:
    world.model.plans["twice"] = twice
    import time; print("T", time.time(), 0)
    await world.tool("fetch", "GET")
    agent: dict[str, Any] = await world.agent("fetch")
    for _ in range(2):
        await world.workers.start(MUSTER_RUNS_LEASE_S="4")
    world.tools.held = {("cold", "t1.0"), ("cold", "t2.0")}
    run = await world.start(agent, "twice", "cold")
    import time; print("T", time.time(), 1)
    await world.until_asked(run, "t1.0")
    import time; print("T", time.time(), 2)
    first = await world.executor(run)

    import time; print("T", time.time(), 3)
    await freeze(world, first)
    run.kills, run.finished = 1, set(await world.keys(run))
    import time; print("T", time.time(), 4)
    await world.until_asked(run, "t1.0", 2)
    import time; print("T", time.time(), 5)
    second = await world.executor(run)
    import time; print("T", time.time(), 6)
    assert second is not first
    world.tools.held.discard(("cold", "t1.0"))
    import time; print("T", time.time(), 7)
    await world.until_asked(run, "t2.0")
    import time; print("T", time.time(), 8)
    taken = await world.head(run)
    import time; print("T", time.time(), 9)
    assert (taken.fence, taken.seq) == (2, 4)

    # The answer of the tool lies in the first one's socket: it goes on as if nothing had been.
    import time; print("T", time.time(), 10)
    first.signal(signal.SIGCONT)
    async with asyncio.timeout(PATIENCE_S):
        while await leases(world, first) != [True, False]:
            await asyncio.sleep(0.02)
    import time; print("T", time.time(), 11)
    assert await world.head(run) == taken
    import time; print("T", time.time(), 12)
    assert await world.has_job(run), "the late one ended the other's job"

    world.tools.held.clear()
    import time; print("T", time.time(), 13)
    await world.until_ended(run)
    import time; print("T", time.time(), 14)
    assert await world.check(run, KEYS, "cold is done.") == 1
    import time; print("T", time.time(), 15)
    assert (await world.head(run)).fence == 2
    # And it works again, under its new lease.
    import time; print("T", time.time(), 16)
    await world.kill(second)
    after = await world.start(agent, "twice", "warm")
    import time; print("T", time.time(), 17)
    await world.until_ended(after)
    import time; print("T", time.time(), 18)
    await world.check(after, KEYS, "warm is done.")
