"""Stops, ends and faults at awkward moments."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import update

from muster.domains.control.gate import Action, Finding, IntendedStep, Outcome
from muster.domains.work.journal import Fenced, JournalWriter, Run
from muster.domains.work.runs import JOB_KIND, following, wake_decided
from muster.domains.work.runs.following import follow
from muster.engine import Job, Stop
from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, spans, start, until

pytestmark = pytest.mark.anyio

CALL = Reply(tool_calls=[{"name": "calculator", "arguments": {"expression": "6*7"}}])


async def keys(people: People, run_id: str) -> list[tuple[str, str]]:
    return [(s["key"], s["step_status"]) for s in await spans(people.viewer, run_id)]


async def test_a_stop_before_the_beginning(
    people: People, working: Muster, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = working.models.resolve

    async def stop_first(project_id: str, reference: str) -> Any:
        runs = (await people.viewer.get("/executions")).json()["items"]
        stopped = await people.operator.post(f"/executions/{runs[0]['id']}/stop")
        assert stopped.json()["status"] == "stopping"
        return await resolve(project_id, reference)

    monkeypatch.setattr(working.models, "resolve", stop_first)
    run_id = await start(people.operator, await make_agent(people.editor))
    assert (await until(people.viewer, run_id))["status"] == "stopped"
    assert await keys(people, run_id) == [("start", "ok"), ("end", "cancelled")]
    assert not scripted.calls


class Meanwhile:
    """A check that does something while the first call of a tool is judged, and wants a yes."""

    name = "meanwhile"

    def __init__(self, muster: Muster, **values: Any) -> None:
        self._database, self._values = muster.database, values
        gate = muster.running.parts.gate
        gate.checks = (*gate.checks, self)

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        if step.key != "t1.0":
            return ()
        async with self._database.write() as session:
            await session.execute(update(Run).where(Run.id == step.run_id).values(**self._values))
        return [Finding(check=self.name, action=Action.ASK, code="c", message="May I?")]

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        assert step.key == "m1"

    async def release(self, step: IntendedStep) -> None:
        assert step.key == "t1.0"


async def test_a_stop_while_it_is_asked(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[CALL])
    Meanwhile(working, status="stopping", stop_requested="graceful")
    run_id = await start(people.operator, await make_agent(people.editor))
    assert (await until(people.viewer, run_id))["status"] == "stopped"
    waiting = await people.viewer.get("/approvals", params={"status": "all"})
    assert waiting.json()["items"] == []


async def test_an_end_while_it_is_asked(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[CALL])
    Meanwhile(working, status="cancelled")
    run_id = await start(people.operator, await make_agent(people.editor))
    await until(people.viewer, run_id)
    async with asyncio.timeout(10):
        while await working.running.parts.engine.known([f"{run_id}:1"]):
            await asyncio.sleep(0.02)
    run = (await people.viewer.get(f"/executions/{run_id}")).json()
    assert run["status"] == "cancelled"


async def test_a_fault_of_the_platform_ends_the_run_and_tells_nothing(
    people: People, working: Muster, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(working.tools, "bind", broken)
    run_id = await start(people.operator, await make_agent(people.editor))
    run = await until(people.viewer, run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "internal_error")
    assert "secret" not in str(run)
    assert not scripted.calls


async def test_a_timeout_inside_is_not_the_runs(
    people: People, working: Muster, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(*_: Any) -> Any:
        raise TimeoutError

    scripted.script = Script(select="turn", replies=[CALL])
    monkeypatch.setattr(working.running.parts.gate, "evaluate", late)
    run = await until(people.viewer, await start(people.operator, await make_agent(people.editor)))
    assert run["error"]["code"] == "internal_error"


async def test_a_job_without_its_run_does_nothing(people: People, working: Muster) -> None:
    engine = working.running.parts.engine
    job = Job(
        id="ghost:1",
        kind=JOB_KIND,
        payload={"run_id": "ghost", "segment": 1},
        partition=people.project_id,
    )
    await engine.submit(job)
    async with asyncio.timeout(10):
        while await engine.known([job.id]):
            await asyncio.sleep(0.02)
    async with working.database.write() as session:
        await wake_decided(session, "ghost", engine)
    assert (await people.viewer.get("/executions")).json()["items"] == []


async def test_a_process_that_stops_leaves_the_run_to_the_next(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    """A run that is broken off by a shutdown keeps its journal as it was."""
    scripted.script = Script(select="turn", replies=[Reply(hang=True)])
    run_id = await start(people.operator, await make_agent(people.editor))
    async with asyncio.timeout(20):
        while not scripted.calls:
            await asyncio.sleep(0.01)
    engine: Any = working.running.engine
    assert engine._jobs.cancel(f"{run_id}:1", Stop.STOPPING, "the process shuts down")
    async with asyncio.timeout(10):
        while engine.active():
            await asyncio.sleep(0.02)
    assert (await people.viewer.get(f"/executions/{run_id}")).json()["status"] == "running"
    assert await keys(people, run_id) == [("start", "ok")]
    await people.operator.post(f"/executions/{run_id}/cancel")


async def test_a_journal_that_cannot_be_written_fails_all_who_wait(
    working: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer: JournalWriter = working.running.parts.writer

    async def broken(_: Any) -> Any:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(working.database, "transact", broken)
        outcomes = await asyncio.gather(
            *(writer.append("none", 0, []) for _ in range(3)), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [OSError] * 3
    with pytest.raises(Fenced):
        await writer.append("none", 0, [])


async def test_a_long_run_is_followed_in_parts(
    people: People, working: Muster, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.script = Script(select="turn", replies=[CALL, Reply(text="42")])
    run_id = await start(people.operator, await make_agent(people.editor))
    await until(people.viewer, run_id)
    monkeypatch.setattr(following, "_BATCH", 2)
    parts = working.running.parts
    items = [i async for i in follow(parts.database, parts.live, parts.blobs, run_id)]
    assert [i.id for i in items if i.event == "log"] == [1, 2, 3, 4, 5]
    assert items[-1].event == "end"
