"""One job: submitted, executed, delayed, bounded, failed, cancelled."""

import asyncio
import time

import pytest

from muster.engine import Engine, Job, JobContext, Stop
from tests.engine.support import Recorder, World, job, until

pytestmark = pytest.mark.anyio


async def test_a_job_is_executed_once_with_what_was_submitted(
    world: World, recorder: Recorder
) -> None:
    async with world.engine(recorder) as engine:
        await engine.submit(job("a:1", partition="project", note="grüße", deep={"n": [1, 2.5]}))
        await until(lambda: recorder.ended)
        context = recorder.begun[0]
        assert context.job.payload == {"note": "grüße", "deep": {"n": [1, 2.5]}}
        assert context.job.partition == "project"
        assert context.executor_id == engine.executor_id
        assert not context.recovered
        assert context.stop is None

        await until(lambda: not engine.active())
        await engine.submit(job("a:1", partition="project"))
        await engine.submit(job("b"))
        await until(lambda: "b" in recorder.ended)
        assert recorder.begun_ids == ["a:1", "b"]


async def test_a_job_that_waits_is_submitted_once_too(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=1) as engine:
        await engine.submit(job("first", hold=True))
        for _ in range(3):
            await engine.submit(job("second"))
        assert await engine.known(["first", "second", "third"]) == {"first", "second"}
        recorder.gate.set()
        await until(lambda: "second" in recorder.ended and not engine.active())
        await engine.submit(job("second"))
        await engine.submit(job("third"))
        await until(lambda: "third" in recorder.ended)
        assert recorder.begun_ids == ["first", "second", "third"]


async def test_what_ended_is_not_known(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder) as engine:
        await engine.submit(job("a"))
        await until(lambda: recorder.ended)
        deadline = time.monotonic() + 30
        while await engine.known(["a"]):
            assert time.monotonic() < deadline
        assert await engine.known([]) == set()


async def test_an_idle_engine_starts_at_once(world: World, recorder: Recorder) -> None:
    latencies: list[float] = []
    async with world.engine(recorder) as engine:
        for number in range(25):
            begin = time.perf_counter()
            await engine.submit(job(f"j{number}"))
            await until(lambda n=number: f"j{n}" in recorder.at)
            latencies.append((recorder.at[f"j{number}"] - begin) * 1000)
            await until(lambda: not engine.active())
    latencies.sort()
    print(f"submit to handler: p50 {latencies[12]:.1f} ms, p90 {latencies[22]:.1f} ms")


async def test_a_burst_goes_through(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=8) as engine:
        begin = time.perf_counter()
        await asyncio.gather(
            *(engine.submit(job(f"j{n}", partition=f"p{n % 3}")) for n in range(90))
        )
        await until(lambda: len(recorder.ended) == 90, 60)
        print(f"{90 / (time.perf_counter() - begin):.0f} jobs/s")
        assert sorted(recorder.begun_ids) == sorted(f"j{n}" for n in range(90))


async def test_handlers_live_on_the_loop_of_the_engine(world: World, recorder: Recorder) -> None:
    loops: set[asyncio.AbstractEventLoop] = set()

    async def handler(context: JobContext) -> None:
        loops.add(asyncio.get_running_loop())
        if context.job.id == "parent":
            await engine.submit(
                Job(id="child", kind="loop", payload={}, partition="p", delay_s=0.01)
            )
            await engine.submit(Job(id="sibling", kind="loop", payload={}, partition="p"))
        recorder.ended.append(context.job.id)

    async with world.engine(recorder, start=False, concurrency=1) as engine:
        engine.register("loop", handler, lost=recorder.give_up)
        await engine.start()
        await engine.submit(Job(id="parent", kind="loop", payload={}, partition="p"))
        await until(lambda: len(recorder.ended) == 3)
        assert loops == {asyncio.get_running_loop()}
        await engine.stop()


async def test_a_delayed_job_waits(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder) as engine:
        begin = time.perf_counter()
        await engine.submit(Job(id="later", kind="work", payload={}, partition="p", delay_s=0.5))
        await engine.submit(job("now"))
        await until(lambda: recorder.begun_ids == ["now", "later"])
        assert recorder.at["later"] - begin >= 0.5


async def test_a_job_that_takes_too_long_is_cancelled(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder) as engine:
        await engine.submit(
            Job(id="slow", kind="work", payload={"hold": True}, partition="p", timeout_s=0.2)
        )
        await until(lambda: recorder.begun and not engine.active())
        assert recorder.last("slow").stop is Stop.TIMEOUT
        assert recorder.last("slow").reason == "no end within 0.2 s"
        await until_unknown(engine, "slow")


async def until_unknown(engine: Engine, job_id: str) -> None:
    deadline = time.monotonic() + 30
    while await engine.known([job_id]):
        assert time.monotonic() < deadline


async def test_a_handler_that_raises_ends_its_job(
    world: World, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.engine(recorder) as engine:
        await engine.submit(job("bad", fail="no luck"))
        await until_unknown(engine, "bad")
        await engine.submit(job("good"))
        await until(lambda: "good" in recorder.ended)
        assert recorder.begun_ids == ["bad", "good"]


async def test_a_handler_that_cancels_itself_ends_its_job(world: World, recorder: Recorder) -> None:
    async def handler(context: JobContext) -> None:
        recorder.begun.append(context)
        raise asyncio.CancelledError

    async with world.engine(recorder, start=False) as engine:
        engine.register("odd", handler, lost=recorder.give_up)
        await engine.start()
        await engine.submit(Job(id="odd", kind="odd", payload={}, partition="p"))
        await until(lambda: recorder.begun)
        await until_unknown(engine, "odd")
        await engine.stop()


async def test_a_running_job_is_cancelled_at_once(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder) as engine:
        await engine.submit(job("a", hold=True))
        await until(lambda: recorder.begun)
        assert engine.active() == ["a"]
        await engine.cancel("a", "no longer wanted")
        await engine.cancel("a", "again")
        await until(lambda: not engine.active())
        context = recorder.last("a")
        assert (context.stop, context.reason) == (Stop.CANCELLED, "no longer wanted")
        assert recorder.ended == []
        await until_unknown(engine, "a")


async def test_a_waiting_job_that_is_cancelled_never_starts(
    world: World, recorder: Recorder
) -> None:
    async with world.engine(recorder, concurrency=1) as engine:
        await engine.submit(job("first", hold=True))
        await engine.submit(job("second"))
        await engine.submit(Job(id="later", kind="work", payload={}, partition="p", delay_s=0.1))
        await engine.submit(job("last"))
        await engine.cancel("second", "no longer wanted")
        await engine.cancel("later", "no longer wanted")
        assert await engine.known(["first", "second", "later", "last"]) == {"first", "last"}
        recorder.gate.set()
        await until(lambda: "last" in recorder.ended)
        assert recorder.begun_ids == ["first", "last"]


async def test_cancelling_what_is_not_there_does_nothing(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder) as engine:
        await engine.cancel("unheard-of", "why not")
        await engine.submit(job("unheard-of"))
        await until(lambda: recorder.ended == ["unheard-of"])


async def test_a_job_must_be_well_formed(sqlite_world: World, recorder: Recorder) -> None:
    async with sqlite_world.engine(recorder) as engine:
        for priority in (0, 1_000_001):
            with pytest.raises(ValueError, match="priority is between 1 and 1,000,000"):
                await engine.submit(
                    Job(id="a", kind="work", payload={}, partition="p", priority=priority)
                )
        for job_id in ("", "a" * 201):
            with pytest.raises(ValueError, match="between 1 and 200 characters"):
                await engine.submit(job(job_id))
        with pytest.raises(ValueError, match="have a handler already"):
            engine.register("work", recorder.work, lost=recorder.give_up)


async def test_a_job_of_an_unknown_kind_waits_for_a_process_that_knows_it(
    sqlite_world: World, recorder: Recorder
) -> None:
    async with sqlite_world.engine(recorder, kinds=()) as engine:
        await engine.submit(job("new"))
        await engine.submit(job("newer"))
        assert await engine.known(["new"]) == {"new"}
    async with sqlite_world.engine(recorder):
        await until(lambda: sorted(recorder.ended) == ["new", "newer"])
