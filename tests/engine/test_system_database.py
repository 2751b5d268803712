"""DBOS's tables: durable, readable by others, shared without quarrel."""

import asyncio
import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from muster.engine import Job
from muster.engine.connection import create_engine
from muster.engine.leases import Leases
from muster.engine.signals import JobSignals
from muster.engine.system_database import Head, Pending, SystemDatabase
from tests.engine.support import Recorder, World, job, until

pytestmark = pytest.mark.anyio


async def test_sqlite_survives_a_power_cut_and_waits_for_other_writers(tmp_path: Path) -> None:
    for address in (str(tmp_path / "a" / "e.db"), f"sqlite+aiosqlite:///{tmp_path}/b/e.db"):
        engine = create_engine(address)
        with engine.connect() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
            ]
        engine.dispose()
        assert pragmas == ["wal", 2, 30000, 1]


async def test_postgresql_is_spoken_to_by_any_of_its_names(postgres_world: World) -> None:
    for address in (postgres_world.url, postgres_world.system_url):
        engine = create_engine(address)
        with engine.connect() as connection:
            schemas = connection.execute(
                sa.text("SELECT nspname FROM pg_namespace WHERE nspname = 'dbos'")
            ).scalars()
            assert list(schemas) == ["dbos"]
        engine.dispose()


async def test_jobs_are_stored_as_json(world: World, recorder: Recorder) -> None:
    async with world.engine(recorder, concurrency=1) as engine, world.system() as system:
        await engine.submit(job("at-once", hold=True, text="größe"))
        await engine.submit(job("in-the-queue", text="größe"))
        await until(lambda: recorder.begun)
        with system._tables.engine.connect() as connection:
            inputs = dict(
                connection.execute(
                    sa.select(
                        system._tables.tables.workflow_input.c.workflow_uuid,
                        system._tables.tables.workflow_input.c.inputs,
                    )
                ).all()
            )
            formats = connection.execute(
                sa.select(system._tables.tables.workflow_status.c.serialization).distinct()
            )
            assert set(formats.scalars()) == {"portable_json"}
        for job_id in ("at-once", "in-the-queue"):
            (stored,) = json.loads(inputs[job_id])["positionalArgs"]
            assert stored["payload"]["text"] == "größe"


async def test_two_processes_that_recover_at_the_same_time_do_no_harm(
    world: World, recorder: Recorder
) -> None:
    async with world.system() as system:
        await system.enqueue(job("a"))
        await system.enqueue(job("b", partition="q"))
        assert sorted(await system.heads(), key=lambda h: h.partition) == [
            Head("p", 100),
            Head("q", 100),
        ]
        (claim,) = await system.claim("p", 1, "dead")
        assert (claim.job, claim.attempts) == (job("a"), 1)
        assert await system.claim("p", 1, "dead") == []
        seen = await system.pending()
        assert seen == [Pending("a", "dead", 1)]
        assert await system.put_back(seen) == 1
        assert await system.put_back(seen) == 0
        (again,) = await system.claim("p", 1, "alive")
        assert again.attempts == 2
        assert again.owner != claim.owner
        # The other one read the table before all this.
        assert await system.put_back(seen) == 0
        assert await system.pending() == [Pending("a", "alive", 2)]
        assert await system.all_waiting() == {"b"}


async def test_a_job_that_is_cancelled_while_it_is_claimed_is_nobodys(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sqlite_world.system() as system:
        await system.enqueue(job("a"))
        start = system._tables.start_queued_workflows

        def start_and_cancel(*args: object, **options: object) -> object:
            found = start(*args, **options)
            system._client.cancel_workflow("a")
            return found

        monkeypatch.setattr(system._tables, "start_queued_workflows", start_and_cancel)
        assert await system.claim("p", 1, "me") == []


async def test_a_partition_that_another_process_holds_is_left_to_it(
    postgres_world: World,
) -> None:
    options = postgres_world.options(rate_limit=(5, 1.0))
    system = SystemDatabase(options)
    await system.open()
    await system.enqueue(job("a"))
    rows = system._tables.tables.workflow_status
    with system._tables.engine.begin() as other:
        other.execute(sa.select(rows).with_for_update())
        assert await system.claim("p", 1, "me") == []
    assert len(await system.claim("p", 1, "me")) == 1
    system.close()


async def test_a_broken_claim_is_an_error_and_the_dispatcher_goes_on(
    sqlite_world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.engine.dispatch._AFTER_ERROR_S", 0.05)
    async with sqlite_world.engine(recorder, concurrency=1) as engine:
        await engine.submit(job("first", hold=True))
        await engine.submit(job("second"))
        tables = engine._database._tables
        broken = 0

        def fail(*_: object, **__: object) -> None:
            nonlocal broken
            broken += 1
            raise OperationalError("SELECT", {}, Exception("disk on fire"))

        with monkeypatch.context() as patch:
            patch.setattr(tables, "start_queued_workflows", fail)
            recorder.gate.set()
            await until(lambda: broken > 1)
        await until(lambda: "second" in recorder.ended)


async def test_a_heart_goes_on_beating_after_an_error(
    sqlite_world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sqlite_world.engine(recorder, heartbeat_s=0.02) as engine:
        failed = 0

        async def fail() -> bool:
            nonlocal failed
            failed += 1
            raise OSError("away")

        with monkeypatch.context() as patch:
            patch.setattr(engine._leases, "renew", fail)
            await until(lambda: failed > 1)
        (before,) = await engine.executors()
        async with asyncio.timeout(5):
            while (await engine.executors())[0].heartbeat_at == before.heartbeat_at:
                await asyncio.sleep(0.01)


async def test_a_job_that_dbos_cannot_begin_is_tried_again(
    world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"rate_limit": (100, 1.0), "lease_s": 0.5}
    async with world.engine(recorder, concurrency=1, **options) as engine:

        def fail(*_: object) -> None:
            raise RuntimeError("no loop")

        with monkeypatch.context() as patch:
            patch.setattr("muster.engine.runtime.execute_dequeued_workflow", fail)
            await engine.submit(job("a"))
            async with asyncio.timeout(5):
                while not await engine._database.pending():
                    await asyncio.sleep(0.01)
            await until(lambda: engine._capacity.free == 1)
        await engine.submit(job("b"))
        await until(lambda: recorder.ended == ["b", "a"])


async def test_a_caller_that_goes_away_leaves_no_job_behind(
    world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.engine(recorder) as engine:
        begin = engine._runtime.begin
        begins = asyncio.Event()

        async def slow(submitted: Job) -> bool:
            begins.set()
            await asyncio.sleep(0.1)
            return await begin(submitted)

        monkeypatch.setattr(engine._runtime, "begin", slow)
        caller = asyncio.create_task(engine.submit(job("a")))
        await begins.wait()
        caller.cancel()
        await asyncio.wait({caller})
        await until(lambda: recorder.ended == ["a"])
        await until(lambda: engine._capacity.free == 8)


async def test_a_job_whose_cancellation_cannot_be_read_runs(
    sqlite_world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sqlite_world.engine(recorder, grace_s=0) as engine:
        await engine.submit(job("a", hold=True))
        await until(engine.active)
    recorder.gate.set()

    async def fail(self: JobSignals, job_ids: list[str]) -> dict[str, str]:
        raise OSError("away")

    monkeypatch.setattr(JobSignals, "reasons", fail)
    async with sqlite_world.engine(recorder):
        await until(lambda: recorder.ended == ["a"])


async def test_a_process_ends_without_its_database(
    sqlite_world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Leases, executor_ids: list[str]) -> None:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Leases, "end", fail)
        async with sqlite_world.engine(recorder, grace_s=0) as engine:
            await engine.submit(job("a", hold=True))
            await until(engine.active)
    recorder.gate.set()
    async with sqlite_world.engine(recorder):
        await until(lambda: recorder.ended == ["a"])


async def test_a_job_that_a_tool_of_dbos_resumes_takes_a_slot_too(
    sqlite_world: World, recorder: Recorder
) -> None:
    async with sqlite_world.engine(recorder, concurrency=1) as engine:
        await engine.submit(job("a", hold=True))
        await engine.submit(job("b", hold=True))
        await until(lambda: recorder.begun)
        await engine.cancel("b", "by mistake")
        await asyncio.to_thread(engine._database._client.resume_workflow, "b")
        async with asyncio.timeout(10):
            while len(await engine._database.pending()) < 2:
                await asyncio.sleep(0.01)
        assert recorder.begun_ids == ["a"]
        await engine._signals.clear("b")
        recorder.gate.set()
        await until(lambda: recorder.ended == ["a", "b"])
    assert recorder.peak == 1
