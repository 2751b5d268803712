"""Leases, the marks of processes, and what becomes of both over time."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select, update

from muster.engine import Executor, JobSignal, Stop
from muster.engine import processes as processes_module
from muster.engine.leases import Leases
from muster.engine.processes import ProcessMark, boot_mark, start_mark
from muster.engine.signals import JobSignals
from muster.kernel import clock
from tests.engine.support import Recorder, World, job, until

pytestmark = pytest.mark.anyio


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_a_lost_lease_ends_its_jobs_and_begins_anew(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder) as engine, world.database() as database:
        await engine.submit(job("a", hold=True))
        await until(lambda: recorder.begun)
        first = engine.executor_id
        async with database.write() as session:
            await session.execute(update(Executor).values(stopped_at=clock.now()))
        await until(lambda: len(recorder.begun) == 2)
        assert recorder.begun[0].stop is Stop.LOST
        assert recorder.begun[1].recovered
        assert recorder.begun[1].executor_id == engine.executor_id != first
        (executor,) = await engine.executors()
        assert executor.is_self
        assert executor.id == engine.executor_id
        recorder.gate.set()
        await until(lambda: recorder.ended == ["a"])
        await eventually(lambda: is_over(engine.known, "a"))
        await engine.submit(job("b"))
        await until(lambda: recorder.ended == ["a", "b"])
    assert recorder.peak == 1


async def is_over(known: Callable[[list[str]], Awaitable[set[str]]], job_id: str) -> bool:
    return not await known([job_id])


async def test_an_executor_elsewhere_is_dead_when_its_heart_stands_still(world: World) -> None:
    async with world.database() as database:
        here = Leases(world.options(lease_s=0.3), database, "1")
        there = Leases(world.options(), database, "1")
        there._mark = replace(there._mark, host="elsewhere")
        await here.take()
        await there.take()
        assert await here.live() == {here.executor_id, there.executor_id}
        for _ in range(10):
            await asyncio.sleep(0.05)
            assert await there.renew()
            assert there.executor_id in await here.live()
        await eventually(lambda: has_left(here, there.executor_id))
        assert not await there.renew()
        assert await here.renew()
        assert [info.id for info in await here.all()] == [here.executor_id]


async def has_left(leases: Leases, executor_id: str) -> bool:
    return executor_id not in await leases.live()


async def test_an_executor_of_this_host_is_dead_when_its_process_is_gone(
    sqlite_world: World,
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    async with sqlite_world.database() as database:
        here = Leases(sqlite_world.options(), database, "1")
        there = Leases(sqlite_world.options(), database, "1")
        there._mark = replace(there._mark, pid=child.pid, started=start_mark(child.pid) or "")
        await here.take()
        await there.take()
        assert there.executor_id in await here.live()
        child.kill()
        # Nobody has waited for it yet: a zombie is as dead.
        await until(lambda: start_mark(child.pid) is None)
        assert await here.live() == {here.executor_id}
        with child:
            pass


async def test_an_earlier_lease_of_the_same_process_is_over(sqlite_world: World) -> None:
    async with sqlite_world.database() as database:
        first = Leases(sqlite_world.options(), database, "1")
        await first.take()
        second = Leases(sqlite_world.options(), database, "1")
        await second.take()
        assert await second.live() == {second.executor_id}
        assert not await first.renew()


def test_a_process_is_known_by_more_than_its_pid() -> None:
    own = ProcessMark.own()
    assert own.pid == os.getpid()
    assert not own.is_gone(own)
    assert replace(own, started="1").is_gone(own)
    assert replace(own, pid=2**22 + 1).is_gone(own)
    # What cannot be seen from here may live.
    assert not replace(own, pid=2**22 + 1, host="elsewhere").is_gone(own)
    assert not replace(own, pid=2**22 + 1, boot="another").is_gone(own)


def test_processes_are_told_apart_without_a_proc_file_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def elsewhere(path: str) -> Path:
        return tmp_path / path.lstrip("/")

    monkeypatch.setattr(processes_module, "Path", elsewhere)
    assert boot_mark() == str(int(psutil.boot_time()))
    assert start_mark(os.getpid()) == f"{psutil.Process().create_time():.2f}"
    assert start_mark(2**22 + 1) is None
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert start_mark(child.pid) is None
    (tmp_path / "proc" / "1").mkdir(parents=True)
    (tmp_path / "proc" / "1" / "stat").mkdir()
    assert start_mark(1) is None


async def test_signals_keep_the_first_reason(world: World) -> None:
    async with world.database() as database:
        signals = JobSignals(database)
        await signals.send("a", "first")
        await signals.send("a", "second")
        await signals.send("b", "x" * 1000)
        assert await signals.reasons([]) == {}
        assert await signals.reasons(["a", "c"]) == {"a": "first"}
        assert len((await signals.reasons(["b"]))["b"]) == 500
        await signals.clear("a")
        assert await signals.reasons(["a"]) == {}


async def test_what_is_over_is_forgotten_in_time(
    world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.engine.engine._PURGE_EVERY_S", 0.0)
    async with world.engine(recorder, keep_finished_s=0) as engine, world.database() as database:
        long_ago = clock.now() - timedelta(days=2)
        async with database.write() as session:
            session.add(
                Executor(
                    id="old",
                    host="h",
                    pid=1,
                    boot="b",
                    process_started="s",
                    version="1",
                    concurrency=1,
                    started_at=long_ago,
                    heartbeat_at=long_ago,
                    stopped_at=long_ago,
                )
            )
            session.add(JobSignal(job_id="old", reason="r", created_at=long_ago))
        await engine.submit(job("a"))
        await engine.submit(job("b", hold=True))
        await until(lambda: recorder.ended == ["a"])

        async def purged() -> bool:
            async with database.read() as session:
                executors = await session.scalar(select(func.count()).select_from(Executor))
                signals = await session.scalar(select(func.count()).select_from(JobSignal))
            async with world.system() as system:
                rows = await asyncio.to_thread(system._client.list_workflows)
            return (executors, signals, [row.workflow_id for row in rows]) == (1, 0, ["b"])

        await eventually(purged)
