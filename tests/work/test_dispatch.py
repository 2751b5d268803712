"""Runs that fell out of the engine are found; processes without an engine leave them alone."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from muster.domains.work.journal import IllegalRunMove, Run, RunStatus
from muster.domains.work.runs import Detached, Dispatcher, lifecycle
from muster.engine import Job
from muster.entrypoints import running
from muster.entrypoints.assembly import Muster
from muster.entrypoints.running import Running
from muster.kernel import clock
from muster.kernel.settings import Settings
from muster.platform.access import Caller
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, spans, start, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def only_own_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the platform itself from looking between what a test prepares and its own look."""
    monkeypatch.setattr("muster.domains.work.runs.dispatch._LOOK_EVERY_S", 3600.0)


@pytest.fixture
async def agent(people: People, scripted: ScriptedServer) -> dict[str, Any]:
    scripted.script = Script(select="turn", replies=[Reply(text="done")])
    return await make_agent(people.editor)


class Deaf:
    """An engine that loses what it is given."""

    def __init__(self, *known: str) -> None:
        self.given, self._known = list[str](), set(known)

    async def submit(self, job: Job) -> None:
        self.given.append(job.id)
        self._known.add(job.id)

    async def cancel(self, job_id: str, reason: str) -> None:
        raise AssertionError(f"{job_id} is not to be cancelled: {reason}")

    async def known(self, job_ids: Any) -> set[str]:
        return self._known & set(job_ids)


async def set_run(muster: Muster, run_id: str, *, age_s: float, **values: Any) -> None:
    moment = clock.now() - timedelta(seconds=age_s)
    async with muster.database.write() as session:
        await session.execute(
            update(Run).where(Run.id == run_id).values(updated_at=moment, **values)
        )


async def parked(people: People, muster: Muster, agent: dict[str, Any], **values: Any) -> str:
    """Make a run that no engine knows."""
    real = muster.running.parts.engine
    object.__setattr__(muster.running.parts, "engine", Deaf())
    try:
        run_id = await start(people.operator, agent)
    finally:
        object.__setattr__(muster.running.parts, "engine", real)
    await set_run(muster, run_id, **{"age_s": 5, **values})
    return run_id


async def test_a_pending_run_without_a_job_is_given_to_the_engine(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    run_id = await parked(people, working, agent)
    await Dispatcher(working.running.parts).recover()
    run = await until(people.viewer, run_id)
    assert (run["status"], run["segment"]) == ("completed", 1)


async def test_a_run_at_work_without_a_job_begins_a_new_segment(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    run_id = await parked(people, working, agent, age_s=40, status="running", fence=3)
    assert await Dispatcher(working.running.parts).recover() == 1
    run = await until(people.viewer, run_id)
    assert (run["status"], run["segment"]) == ("completed", 2)


async def test_a_run_that_was_asked_to_stop_comes_to_its_end(
    people: People, working: Muster, agent: dict[str, Any], scripted: ScriptedServer
) -> None:
    run_id = await parked(
        people, working, agent, age_s=40, status="stopping", stop_requested="graceful"
    )
    assert await Dispatcher(working.running.parts).recover() == 1
    run = await until(people.viewer, run_id)
    assert (run["status"], run["segment"]) == ("stopped", 2)
    assert [s["key"] for s in await spans(people.viewer, run_id)] == ["start", "end"]
    assert not scripted.calls


async def test_what_is_not_forgotten_is_left_alone(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    fresh = await parked(people, working, agent)
    busy = await parked(people, working, agent, status="running")
    known = await parked(people, working, agent, age_s=40, status="running")
    waiting = await parked(people, working, agent, age_s=99, status="waiting_for_approval")
    child = await parked(people, working, agent, age_s=99, parent_run_id=waiting)
    parts = working.running.parts
    engine = Deaf(f"{known}:1")
    object.__setattr__(parts, "engine", engine)
    await set_run(working, busy, age_s=10)
    await set_run(working, fresh, age_s=0)
    assert await Dispatcher(parts).recover() == 0
    assert engine.given == []
    for run_id in (fresh, busy, known, waiting, child):
        assert (await people.viewer.get(f"/executions/{run_id}")).json()["segment"] == 1


async def test_a_run_that_moved_on_meanwhile_is_left_alone(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    """Between the look and the hand somebody took the run up, or it ended."""
    parts = working.running.parts
    taken = await parked(people, working, agent, age_s=40, status="running", fence=1)
    ended = await parked(people, working, agent, age_s=40, status="running", fence=1)

    class Late(Deaf):
        async def known(self, job_ids: Any) -> set[str]:
            await set_run(working, taken, age_s=40, fence=2)
            await set_run(working, ended, age_s=40, status="completed")
            return await super().known(job_ids)

    engine = Late()
    object.__setattr__(parts, "engine", engine)
    await Dispatcher(parts).recover()
    assert engine.given == []
    for run_id, status in ((taken, "running"), (ended, "completed")):
        run = (await people.viewer.get(f"/executions/{run_id}")).json()
        assert (run["status"], run["segment"]) == (status, 1)


async def test_a_job_that_ended_without_its_run_gets_a_successor(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    run_id = await parked(people, working, agent)

    class Forgetful(Deaf):
        async def known(self, job_ids: Any) -> set[str]:
            return set()

    engine = Forgetful()
    object.__setattr__(working.running.parts, "engine", engine)
    await Dispatcher(working.running.parts).recover()
    assert engine.given == [f"{run_id}:1", f"{run_id}:2"]


async def test_the_dispatcher_survives_a_fault(
    working: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = asyncio.Event()
    times: list[int] = []

    class Shaky(Dispatcher):
        async def recover(self) -> int:
            times.append(1)
            if len(times) == 1:
                raise OSError("the database is away")
            looked.set()
            return 0

    monkeypatch.setattr("muster.domains.work.runs.dispatch._LOOK_EVERY_S", 0.01)
    task = asyncio.create_task(Shaky(working.running.parts).run())
    await asyncio.wait_for(looked.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_housekeeping_survives_a_fault(
    settings: Settings, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scripted.base_url
    cleaned = asyncio.Event()
    times: list[int] = []

    async def shaky(_: Any) -> None:
        times.append(1)
        if len(times) == 1:
            raise OSError("the database is away")
        cleaned.set()

    monkeypatch.setattr(running, "forget_old", shaky)
    monkeypatch.setattr(running, "_HOUSEKEEPING_S", 0.01)
    async with Muster(settings, engine="work"):
        await asyncio.wait_for(cleaned.wait(), 10)


async def test_a_process_without_an_engine_leaves_runs_to_others(
    people: People, working: Muster, settings: Settings, agent: dict[str, Any]
) -> None:
    detached = Detached()
    assert await detached.known(["a", "b"]) == {"a", "b"}
    async with Muster(settings, engine="off") as other:
        assert isinstance(other.running.parts.engine, Detached)
        real = working.running.parts.engine
        object.__setattr__(working.running.parts, "engine", detached)
        left = await start(people.operator, agent)
        cancelled = await start(people.operator, agent)
        answer = await people.operator.post(f"/executions/{cancelled}/cancel")
        assert answer.json()["status"] == "cancelled"
        object.__setattr__(working.running.parts, "engine", real)
    await set_run(working, left, age_s=5)
    await Dispatcher(working.running.parts).recover()
    assert (await until(people.viewer, left))["status"] == "completed"
    assert await spans(people.viewer, cancelled) == []


async def test_a_restart_that_cancels_ends_the_run(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    """What the engine calls for a job whose process died, where runs are not to be resumed."""
    from muster.domains.work.runs import RunExecutor

    run_id = await parked(people, working, agent, status="running", fence=1)
    executor = RunExecutor(working.running.parts)
    await executor.lost(f"{run_id}:2", {"run_id": run_id, "segment": 2})
    await executor.lost(f"{run_id}:1", {"run_id": "no-such-run", "segment": 1})
    assert (await people.viewer.get(f"/executions/{run_id}")).json()["status"] == "running"
    await executor.lost(f"{run_id}:1", {"run_id": run_id, "segment": 1})
    run = await until(people.viewer, run_id)
    assert run["status"] == RunStatus.CANCELLED
    assert run["status_reason"] == ("Job cancelled - service was restarted while job was running")
    await executor.lost(f"{run_id}:1", {"run_id": run_id, "segment": 1})


async def test_a_process_may_only_submit(settings: Settings, scripted: ScriptedServer) -> None:
    assert scripted.base_url
    async with Muster(settings, engine="submit") as process:
        assert isinstance(process.running, Running)
        assert process.running.engine is process.running.parts.engine
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not names & {"dispatcher", "housekeeping"}


@pytest.mark.parametrize("is_child", [False, True])
async def test_an_answer_that_came_before_the_wait(
    people: People, working: Muster, agent: dict[str, Any], is_child: bool
) -> None:
    parent = await parked(people, working, agent, status="waiting_for_approval")
    state = {"status": "running", "parent_run_id": parent if is_child else None}
    run_id = await parked(people, working, agent, **state)
    engine = Deaf()
    async with working.database.write() as session:
        run = await session.get_one(Run, run_id)
        caller = Caller.system(run.project_id)
        await lifecycle.wait(
            session,
            caller,
            run,
            [],
            heard=(),
            for_people=True,
            wake_at=None,
            active_ms=1,
            engine=engine,
        )
    # The one above takes it up again, in the step that it asked from.
    assert engine.given == ([] if is_child else [f"{run_id}:2"])
    assert (await people.viewer.get(f"/executions/{run_id}")).json()["status"] == "pending"


async def test_a_wish_to_stop_is_not_slept_over(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    run_id = await parked(people, working, agent, status="stopping", stop_requested="graceful")
    async with working.database.write() as session:
        run = await session.get_one(Run, run_id)
        with pytest.raises(IllegalRunMove):
            await lifecycle.wait(
                session,
                Caller.system(run.project_id),
                run,
                [],
                heard=(),
                for_people=False,
                wake_at=clock.now() + timedelta(hours=1),
                active_ms=1,
                engine=Deaf(),
            )


async def test_what_was_under_way_is_recorded_once(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    """As of a child that finds that it was ended, in the moment in which its parent tells it."""
    run_id = await parked(people, working, agent, status="cancelled")
    async with working.database.read() as session:
        segment = working.running.parts.segment(await session.get_one(Run, run_id))
    await segment.interrupted()
    await segment.interrupted()
    assert [span["key"] for span in await spans(people.viewer, run_id)] == ["end"]
