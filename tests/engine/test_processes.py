"""Several processes, some of which are killed."""

import asyncio
import signal
import time

import pytest

from muster.engine import Engine, Job
from tests.engine.support import Recorder, World, job, until

pytestmark = [pytest.mark.anyio, pytest.mark.durability]


async def test_a_killed_process_resumes_when_it_is_started_again(world: World) -> None:
    first = await world.process("first", concurrency=2)
    await first.submit(job("long", seconds=60))
    await first.submit(job("short"))
    await until(lambda: first.jobs("end") == ["short"])
    async with world.system() as system:
        while await system.unfinished(["short"]):
            await asyncio.sleep(0.01)
    first.kill()

    recorder = Recorder()
    async with world.engine(recorder) as engine:
        begin = time.perf_counter()
        await until(lambda: "long" in recorder.at)
        print(f"after a restart: {(recorder.at['long'] - begin) * 1000:.0f} ms")
        assert recorder.last("long").recovered
        assert recorder.begun_ids == ["long"]
        await engine.cancel("long", "seen enough")
        await until(lambda: not engine.active())


async def test_the_jobs_of_a_killed_process_go_to_a_live_one(world: World) -> None:
    first = await world.process("first", lease_s=10)
    await first.submit(job("long", seconds=0.5))
    await first.submit(job("longer", seconds=60))
    await until(lambda: len(first.jobs("begin")) == 2)
    second = await world.process("second", lease_s=10)
    await until(lambda: first.jobs("end") == ["long"])
    first.kill()
    begin = time.perf_counter()
    await until(lambda: second.jobs("begin") == ["longer"])
    print(f"taken over after {time.perf_counter() - begin:.2f} s")
    assert second.journal()[0]["recovered"]
    await second.tell("cancel", "longer", "seen enough")
    await until(lambda: second.jobs("cancelled") == ["longer"])
    await second.stop()


async def test_the_jobs_of_a_stopped_process_go_to_a_live_one(postgres_world: World) -> None:
    first = await postgres_world.process("first")
    await first.submit(job("long", seconds=60))
    second = await postgres_world.process("second")
    await until(lambda: first.jobs("begin") == ["long"])
    await first.stop()
    await until(lambda: second.jobs("begin") == ["long"])
    assert first.journal()[-1] == {
        "event": "cancelled",
        "job": "long",
        "stop": "stopping",
        "reason": "the process shuts down",
    }


async def test_fifty_jobs_survive_the_death_of_a_worker(world: World) -> None:
    first = await world.process("first", concurrency=25)
    second = await world.process("second", concurrency=25)
    for number in range(50):
        worker = first if number % 2 else second
        seconds = 0.05 if number < 10 else 1
        await worker.submit(job(f"j{number}", partition=f"p{number % 4}", seconds=seconds))
    async with world.system() as system:
        while len(await system.unfinished(["j1", "j3", "j5", "j7", "j9"])) == 5:
            await asyncio.sleep(0.005)
        first.popen.send_signal(signal.SIGSTOP)
        ended = first.jobs("end")
        # What ended in the instant before the kill may have had no time to be recorded.
        recorded = set(ended) - set(await system.unfinished(ended))
    first.kill()
    everything = {f"j{n}" for n in range(50)}
    await until(lambda: set(first.jobs("end")) | set(second.jobs("end")) == everything, 60)
    assert recorded
    assert not recorded & set(second.jobs("begin")), "a job that is finished began again"
    assert len(second.jobs("end")) == len(set(second.jobs("end"))), "a job came to its end twice"
    await second.stop()


async def test_a_process_that_does_not_work_submits_for_others(
    world: World, recorder: Recorder
) -> None:
    async with world.engine(recorder, work=False) as engine:
        await engine.submit(job("early"))
        assert await engine.known(["early"]) == {"early"}
        assert await engine.executors() == []
        worker = await world.process("worker", concurrency=1)
        await until(lambda: worker.jobs("end") == ["early"])
        begin = time.perf_counter()
        await engine.submit(job("next"))
        await until(lambda: worker.jobs("end") == ["early", "next"])
        print(f"API process to worker: {(time.perf_counter() - begin) * 1000:.0f} ms")

        (executor,) = await engine.executors()
        assert executor.pid == worker.popen.pid
        assert executor.concurrency == 1
        assert not executor.is_self

        await engine.submit(job("long", seconds=60))
        await engine.submit(job("waits", seconds=60))
        await until(lambda: "long" in worker.jobs("begin"))
        await engine.cancel("waits", "no longer wanted")
        begin = time.perf_counter()
        await engine.cancel("long", "enough")
        await until(lambda: worker.jobs("cancelled") == ["long"])
        print(f"cancelled elsewhere after {(time.perf_counter() - begin) * 1000:.0f} ms")
        assert worker.journal()[-1]["reason"] == "enough"
        await engine.submit(job("last"))
        await until(lambda: "last" in worker.jobs("end"))
        assert "waits" not in worker.jobs("begin")
        await worker.stop()
        assert await engine.executors() == []
    assert recorder.begun == []


async def test_a_wish_to_cancel_outlives_the_process_that_should_fulfil_it(world: World) -> None:
    worker = await world.process("worker", heartbeat_s=60)
    await worker.submit(job("a", seconds=60))
    await until(lambda: worker.jobs("begin") == ["a"])
    worker.popen.send_signal(signal.SIGSTOP)  # it cannot hear
    recorder = Recorder()
    async with world.engine(recorder, work=False) as engine:
        await engine.cancel("a", "enough")
    worker.kill()
    async with world.engine(recorder) as engine:
        deadline = time.monotonic() + 30
        while await engine.known(["a"]):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await until(lambda: not engine.active())
    assert recorder.begun == []


async def test_a_process_that_was_only_asleep_lets_go_of_its_jobs(world: World) -> None:
    sleeper = await world.process("sleeper", lease_s=0.6, heartbeat_s=0.2)
    await sleeper.submit(job("a", seconds=60))
    await until(lambda: sleeper.jobs("begin") == ["a"])
    sleeper.popen.send_signal(signal.SIGSTOP)
    recorder = Recorder()
    async with world.engine(recorder, lease_s=0.6) as engine:
        await until(lambda: "a" in recorder.at)
        assert recorder.last("a").recovered
        sleeper.popen.send_signal(signal.SIGCONT)
        await until(lambda: sleeper.jobs("cancelled") == ["a"])
        assert sleeper.journal()[-1]["stop"] == "lost"
        # It goes on under a new lease.
        await until_executors(engine, 2)
        assert engine.active() == ["a"]
        await sleeper.submit(job("b"))
        await until(lambda: sleeper.jobs("end") == ["b"] or recorder.ended == ["b"])
        await engine.cancel("a", "seen enough")
        await until(lambda: not engine.active())
    await sleeper.stop()


async def until_executors(engine: Engine, number: int) -> None:
    deadline = time.monotonic() + 30
    while len(await engine.executors()) != number:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_lone_restart_that_gives_up_leaves_the_jobs_of_others(
    postgres_world: World,
) -> None:
    first = await postgres_world.process("first", concurrency=1, on_restart="cancel")
    second = await postgres_world.process("second", concurrency=1, on_restart="cancel")
    await first.submit(job("a", seconds=60))
    await until(lambda: first.jobs("begin") == ["a"])
    await second.submit(Job(id="b", kind="work", payload={"seconds": 60}, partition="p"))
    await second.submit(job("c"))
    first.kill()
    await until(lambda: second.jobs("lost") == ["a"])
    third = await postgres_world.process("third", on_restart="cancel")
    await until(lambda: third.jobs("end") == ["c"])
    assert second.jobs("begin") == ["b"]
    assert third.jobs("lost") == []
