"""Start, stop, start again: nothing is lost, nothing hangs, nothing leaks into the next start."""

import asyncio
import logging
import subprocess
import sys
import threading
import time

import pytest

from muster.engine import Job, JobContext, Stop
from muster.engine.engine import Engine
from muster.engine.runtime import Runtime
from tests.engine.support import Recorder, World, job, until

pytestmark = pytest.mark.anyio


async def test_what_a_stop_interrupts_is_invoked_again(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=2) as engine:
        await engine.submit(job("a", hold=True))
        await engine.submit(job("b", hold=True, partition="q"))
        await engine.submit(job("waits"))
        await until(lambda: len(recorder.begun) == 2)
        first = engine.executor_id
    assert recorder.last("a").stop is Stop.STOPPING
    assert recorder.ended == []

    again = Recorder()
    async with world.engine(again, concurrency=2) as engine:
        assert engine.executor_id != first
        await until(lambda: len(again.begun) == 2)
        assert {"a", "b"} == set(again.begun_ids)
        assert all(context.recovered for context in again.begun)
        assert again.last("b").job.partition == "q"
        again.gate.set()
        await until(lambda: sorted(again.ended) == ["a", "b", "waits"])
        assert not again.last("waits").recovered


async def test_a_new_release_takes_the_jobs_of_the_last_one(
    world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.engine(recorder, concurrency=1, grace_s=0) as engine:
        await engine.submit(job("running", hold=True))
        await engine.submit(job("waiting"))
        await until(engine.active)
    again = Recorder()
    again.gate.set()
    monkeypatch.setattr("muster.engine.engine.version", lambda _: "99.0")
    async with world.engine(again, app_version="muster-2") as engine:
        # Jobs in another format are not for this one.
        await engine.submit(job("new"))
        await until(lambda: again.ended == ["new"])
        assert await engine.known(["running", "waiting"]) == {"running", "waiting"}
    async with world.engine(again) as engine:
        assert (await engine.executors())[0].version == "99.0"
        await until(lambda: sorted(again.ended) == ["new", "running", "waiting"])


async def test_a_stop_lets_jobs_end_that_can(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, grace_s=5) as engine:
        await engine.submit(job("a", seconds=0.3))
        await until(engine.active)
    assert recorder.ended == ["a"]

    again = Recorder()
    async with world.engine(again) as engine:
        await engine.submit(job("b"))
        await until(lambda: again.ended == ["b"])
    assert again.begun_ids == ["b"]


async def test_many_starts_in_one_process_leave_nothing_behind(
    sqlite_world: World, recorder: Recorder
) -> None:
    threads: list[int] = []
    for turn in range(4):
        async with sqlite_world.engine(recorder) as engine:
            await engine.submit(job(f"turn-{turn}"))
            await until(lambda t=turn: f"turn-{t}" in recorder.ended)
            await until(lambda: not engine.active())
        await until(lambda: not [t for t in threading.enumerate() if "dbos" in t.name.lower()])
        threads.append(threading.active_count())
    assert len(recorder.begun) == 4
    assert threads[-1] <= threads[0] + 1


async def test_a_process_has_one_engine(sqlite_world: World, recorder: Recorder) -> None:
    async with (
        sqlite_world.engine(recorder) as engine,
        sqlite_world.engine(recorder, start=False) as other,
    ):
        with pytest.raises(RuntimeError, match="an engine runs in this process already"):
            await other.start()
        await other.stop()
        await engine.submit(job("a"))
        await until(lambda: recorder.ended == ["a"])


async def _fail(self: Runtime, executor_id: str) -> None:
    raise OSError("no")


async def test_a_start_that_fails_can_be_repeated(
    sqlite_world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sqlite_world.engine(recorder, start=False) as engine:
        with monkeypatch.context() as patch:
            patch.setattr(Runtime, "start", _fail)
            with pytest.raises(OSError, match="no"):
                await engine.start()
        assert Engine._started is None
        await engine.start()
        await engine.submit(job("a"))
        await until(lambda: recorder.ended == ["a"])
        await engine.stop()


async def test_who_is_enlisted_counts_and_is_waited_for(
    world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.engine(recorder, start=False) as engine:
        await engine.enlist()
        assert [executor.is_self for executor in await engine.executors()] == [True]
        launch = asyncio.create_task(engine.submit(job("a")))
        known = asyncio.create_task(engine.known(["a"]))
        cancel = asyncio.create_task(engine.cancel("unheard-of", "why not"))
        await engine.start()
        assert len(await engine.executors()) == 1
        await asyncio.gather(launch, known, cancel)
        await until(lambda: recorder.ended == ["a"])
        await engine.stop()
        assert await engine.executors() == []

        await engine.enlist()
        await engine.stop()
        assert await engine.executors() == [], "it left without having started"

        with monkeypatch.context() as patch:
            patch.setattr(Runtime, "start", _fail)
            with pytest.raises(OSError, match="no"):
                await engine.start()
        assert await engine.executors() == []


async def test_nobody_waits_for_an_engine_that_does_not_start(
    sqlite_world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(engine: Engine) -> None:
        await engine.stop()

    async def in_vain(engine: Engine) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Runtime, "start", _fail)
            with pytest.raises(OSError, match="no"):
                await engine.start()

    for leave in (in_vain, never):
        async with sqlite_world.engine(recorder, start=False) as engine:
            await engine.enlist()
            launch = asyncio.create_task(engine.submit(job("a")))
            await asyncio.sleep(0)
            await leave(engine)
            with pytest.raises(RuntimeError, match="did not start"):
                await launch


async def test_a_handler_that_does_not_end_does_not_hold_up_a_stop(
    sqlite_world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.engine.engine._LAST_GRACE_S", 0.2)
    release = asyncio.Event()

    async def stubborn(context: JobContext) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                recorder.begun.append(context)

    async with sqlite_world.engine(recorder, start=False) as engine:
        engine.register("stubborn", stubborn, lost=recorder.give_up)
        await engine.start()
        await engine.submit(Job(id="s", kind="stubborn", payload={}, partition="p"))
        await until(engine.active)
        await engine.stop(0.1)
        assert recorder.begun
        release.set()
    async with sqlite_world.engine(recorder, kinds=("stubborn",)):
        await until(lambda: recorder.ended == ["s"])
        assert recorder.last("s").recovered


async def test_a_handler_that_fails_while_it_is_stopped_is_invoked_again(
    sqlite_world: World, recorder: Recorder
) -> None:
    async def fails(context: JobContext) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RuntimeError("half done") from None

    async with sqlite_world.engine(recorder, start=False) as engine:
        engine.register("fails", fails, lost=recorder.give_up)
        await engine.start()
        await engine.submit(Job(id="f", kind="fails", payload={}, partition="p"))
        await until(engine.active)
        await engine.stop(0)
    async with sqlite_world.engine(recorder, kinds=("fails",)):
        await until(lambda: recorder.ended == ["f"])


async def test_jobs_are_given_up_where_they_do_not_outlive_their_process(
    world: World, recorder: Recorder
) -> None:
    async with world.engine(recorder, concurrency=1, grace_s=0) as engine:
        await engine.submit(job("running", hold=True))
        await engine.submit(job("waiting"))
        await until(lambda: engine.active() == ["running"])
    again = Recorder()
    async with world.engine(again, on_restart="cancel") as engine:
        assert sorted(again.lost) == ["running", "waiting"]
        assert await engine.known(["running", "waiting"]) == set()
        await engine.submit(job("new"))
        await until(lambda: again.ended == ["new"])
    assert again.begun_ids == ["new"]


async def test_a_job_that_never_ends_is_given_up(sqlite_world: World, recorder: Recorder) -> None:
    for _ in range(2):
        async with sqlite_world.engine(recorder, max_attempts=2, grace_s=0) as engine:
            if not recorder.begun:
                await engine.submit(job("crashes", hold=True))
            await until(lambda: sum(recorder.running.values()))
    async with sqlite_world.engine(recorder, max_attempts=2) as engine:
        assert recorder.lost == ["crashes"]
        assert await engine.known(["crashes"]) == set()
        assert len(recorder.begun) == 2


async def test_the_owner_hears_of_a_lost_job_in_the_end(
    sqlite_world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sqlite_world.engine(recorder, grace_s=0) as engine:
        await engine.submit(job("a", hold=True))
        await until(engine.active)
    asked = 0

    async def unwilling(job_id: str, payload: dict[str, object]) -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise RuntimeError("not now")

    recorder.give_up = unwilling
    async with sqlite_world.engine(recorder, on_restart="cancel") as engine:
        await until(lambda: asked == 3)
        deadline = time.monotonic() + 30
        while await engine.known(["a"]):
            assert time.monotonic() < deadline


async def test_a_lost_job_of_an_unknown_kind_is_kept(
    sqlite_world: World, recorder: Recorder
) -> None:
    async with sqlite_world.engine(recorder, grace_s=0) as engine:
        await engine.submit(job("a", hold=True))
        await until(engine.active)
    async with sqlite_world.engine(recorder, on_restart="cancel", kinds=()) as engine:
        assert await engine.known(["a"]) == {"a"}
    assert recorder.lost == []


async def test_dbos_says_nothing_of_its_own_accord(
    sqlite_world: World, recorder: Recorder, capfd: pytest.CaptureFixture[str]
) -> None:
    async with sqlite_world.engine(recorder) as engine:
        await engine.submit(job("a"))
        await until(lambda: recorder.ended)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("dbos").propagate


def test_importing_the_engine_does_not_import_dbos() -> None:
    program = "import sys, muster.engine; sys.exit('dbos' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
