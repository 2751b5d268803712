"""Who may run: exact bounds, priority, fairness, rates."""

import asyncio
from collections import Counter

import pytest

from muster.engine import Job
from muster.engine.capacity import Capacity
from tests.engine.support import Recorder, World, job, until

pytestmark = pytest.mark.anyio


async def test_the_bound_of_the_process_is_exact(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=4) as engine:
        await asyncio.gather(
            *(engine.submit(job(f"j{n}", partition=f"p{n % 5}", hold=True)) for n in range(30))
        )
        await until(lambda: len(recorder.begun) == 4)
        recorder.gate.set()
        await until(lambda: len(recorder.ended) == 30, 60)
    assert recorder.peak == 4
    assert len(set(recorder.begun_ids)) == 30


async def test_a_single_slot_runs_one_after_the_other(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=1) as engine:
        for number in range(6):
            await engine.submit(job(f"j{number}"))
        await until(lambda: len(recorder.ended) == 6)
    assert recorder.peak == 1
    assert recorder.begun_ids == [f"j{n}" for n in range(6)]


async def test_the_bound_of_a_partition_is_exact(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=6, partition_concurrency=2) as engine:
        for number in range(12):
            await engine.submit(job(f"a{number}", partition="a", hold=True))
        await engine.submit(job("b", partition="b"))
        await until(lambda: "b" in recorder.ended)
        # Not behind the ten of the other project.
        assert recorder.ended == ["b"]
        recorder.gate.set()
        await until(lambda: len(recorder.ended) == 13, 60)
    assert recorder.peaks == {"a": 2, "b": 1}


async def test_what_waits_goes_by_priority(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=1) as engine:
        await engine.submit(job("first", hold=True))
        for job_id, priority, partition in [
            ("low", 900, "a"),
            ("middle", 500, "b"),
            ("high", 1, "c"),
            ("middle-2", 500, "b"),
            ("high-2", 2, "a"),
        ]:
            await engine.submit(
                Job(id=job_id, kind="work", payload={}, partition=partition, priority=priority)
            )
        recorder.gate.set()
        await until(lambda: len(recorder.ended) == 6)
    assert recorder.begun_ids == ["first", "high", "high-2", "middle", "middle-2", "low"]


async def test_partitions_take_turns(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=2) as engine:
        await engine.submit(job("hold-1", partition="z", hold=True))
        await engine.submit(job("hold-2", partition="z", hold=True))
        for partition, number in [("a", 12), ("b", 4), ("c", 4)]:
            for n in range(number):
                await engine.submit(job(f"{partition}{n}", partition=partition, seconds=0.01))
        recorder.gate.set()
        await until(lambda: len(recorder.ended) == 22, 60)
    order = [name[0] for name in recorder.begun_ids if not name.startswith("hold")]
    assert max(Counter(order[:9]).values()) <= 4, order
    assert set(order[-4:]) == {"a"}, order


async def test_starts_are_rated_per_partition(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, rate_limit=(2, 1.0)) as engine:
        for number in range(5):
            await engine.submit(job(f"a{number}", partition="a"))
        await engine.submit(job("b", partition="b"))
        await until(lambda: len(recorder.ended) == 6, 30)
    async with world.system() as system:
        rows = system._client.list_workflows()
    claimed = {row.workflow_id: row.dequeued_at or 0 for row in rows}
    times = sorted(claimed[f"a{n}"] for n in range(5))
    for first, third in zip(times, times[2:], strict=False):
        assert third - first >= 1000
    # Whole seconds are kept: on a busy machine it may share one with the third of the others.
    assert claimed["b"] < times[-1]


async def test_slots_are_counted() -> None:
    capacity = Capacity(3, 2)
    assert capacity.reserve("a", 2)
    assert not capacity.reserve("a")
    assert (capacity.free, capacity.room("a"), capacity.room("b")) == (1, 0, 1)
    assert not capacity.reserve("b", 2)
    await capacity.acquire("b")
    assert capacity.running("b") == 1
    waiting = asyncio.create_task(capacity.acquire("c"))
    await asyncio.sleep(0)
    assert not waiting.done()
    capacity.release("a", 2)
    await waiting
    assert (capacity.free, capacity.running("a"), capacity.running("c")) == (1, 0, 1)
    for total, per_partition in [(0, None), (1, 0)]:
        with pytest.raises(ValueError, match="at least 1"):
            Capacity(total, per_partition)
    assert Capacity(2, 9).room("a") == 2
