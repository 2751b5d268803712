"""Cancelling a task whose run is under way."""

import pytest

from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import until
from tests.work.tasks_setting import RecordingLauncher, event_types, follow, make_agent, make_task

pytestmark = pytest.mark.anyio


async def test_cancelling_breaks_off_a_run_under_way(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    working.app.state.launcher = RecordingLauncher(working)
    await make_agent(people.editor, llm="openai/scripted-large")
    scripted.script = Script(replies=[Reply(text="At last", delay_s=30)])
    task = await make_task(people.editor, agent="researcher", description="Go")
    answer = await people.operator.post(f"/tasks/{task['id']}/run")
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["execution_id"]
    await until(people.viewer, run_id, "running")
    await follow(working, task, run_id, "started")
    ended = await people.operator.post(f"/tasks/{task['id']}/cancel", json={"reason": "Wrong"})
    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")
    execution = await until(people.viewer, run_id)
    assert (execution["status"], execution["status_reason"]) == ("cancelled", "Wrong")
    assert (await event_types(people.viewer, task))[-1] == "task.cancelled"
