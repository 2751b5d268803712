"""Tasks that are run: on demand, followed, cancelled, run again."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel.ids import new_id
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in
from tests.work.tasks_setting import (
    RecordingLauncher,
    event_types,
    follow,
    make_agent,
    make_task,
    read,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def people(muster: Muster, connect: Callable[..., httpx2.AsyncClient]) -> People:
    """Everybody, in an application that leaves runs where they are."""
    return signed_in(await find_accounts(muster), connect)


@pytest.fixture
def launcher(muster: Muster) -> RecordingLauncher:
    launcher = muster.app.state.launcher = RecordingLauncher(muster)
    return launcher


async def run(people: People, task: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = await people.operator.post(f"/tasks/{task['id']}/run", json=body or None)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_a_run_on_demand(people: People, launcher: RecordingLauncher) -> None:
    await make_agent(people.editor)
    task = await make_task(people.editor, agent="researcher", inputs={"topic": "AI", "depth": 1})
    started = await run(people, task, inputs={"depth": 2})
    run_id = started["execution_id"]
    assert started == {
        "execution_id": run_id,
        "task_id": task["id"],
        "status": "pending",
        "message": "Task started",
        "run_name": "Research Task - AI",
    }
    execution = (await people.viewer.get(f"/executions/{run_id}")).json()
    assert (execution["execution_type"], execution["inputs"]) == (
        "task",
        {"topic": "AI", "depth": 2},
    )
    assert execution["started_by"]["name"] == "Operator"
    assert (await read(people.viewer, task))["last_run_id"] == run_id
    history = (await people.viewer.get(f"/tasks/{task['id']}/history")).json()
    assert [item["id"] for item in history["items"]] == [run_id]
    assert launcher.launched == [(task["id"], run_id)]


async def test_another_model_on_demand(people: People, launcher: RecordingLauncher) -> None:
    await make_agent(people.editor, llm="openai/scripted-large")
    task = await make_task(people.editor, agent="researcher")
    refused = await people.operator.post(f"/tasks/{task['id']}/run")
    assert (refused.status_code, refused.json()["error"]) == (409, "plan_not_ready")
    (issue,) = refused.json()["details"]["issues"]
    assert issue["field"].endswith(".agent")
    assert "researcher" in issue["message"]
    kept = await read(people.editor, task)
    assert (kept["status"], kept["last_run_id"]) == ("pending", None)
    started = await run(people, task, model="builtin/extractive")
    execution = (await people.viewer.get(f"/executions/{started['execution_id']}")).json()
    assert execution["model"] == "builtin/extractive"
    assert len(launcher.launched) == 1


async def test_what_is_missing_is_named(people: People, launcher: RecordingLauncher) -> None:
    task = await make_task(people.editor, agent="nobody", tools=["no_such_tool"])
    refused = await people.operator.post(f"/tasks/{task['id']}/run")
    assert (refused.status_code, refused.json()["error"]) == (409, "task_not_ready")
    fields = [problem["field"] for problem in refused.json()["details"]["problems"]]
    assert fields == ["agent", "tools.no_such_tool"]
    assert "nobody" in refused.json()["message"]
    unknown = await people.operator.post(f"/tasks/{new_id()}/run")
    assert unknown.status_code == 404
    assert not launcher.launched


async def test_a_task_is_run_once_at_a_time(people: People, launcher: RecordingLauncher) -> None:
    await make_agent(people.editor)
    task = await make_task(people.editor, agent="researcher")
    started = await run(people, task)
    for method, path in (("POST", "/run"), ("DELETE", "")):
        refused = await people.editor.request(method, f"/tasks/{task['id']}{path}")
        assert (refused.status_code, refused.json()["error"]) == (409, "task_at_work")
    held = await people.editor.patch(f"/tasks/{task['id']}", json={"status": "draft"})
    assert held.status_code == 409
    assert len(launcher.launched) == 1
    ended = (await people.operator.post(f"/tasks/{task['id']}/cancel")).json()
    assert ended["status"] == "cancelled"
    execution = (await people.viewer.get(f"/executions/{started['execution_id']}")).json()
    assert execution["status"] == "cancelled"
    again = await run(people, task)
    assert again["execution_id"] != started["execution_id"]


async def test_of_many_who_run_a_task_at_once_one_does(
    people: People, launcher: RecordingLauncher
) -> None:
    await make_agent(people.editor)
    task = await make_task(people.editor, agent="researcher")
    path = f"/tasks/{task['id']}/run"
    answers = await asyncio.gather(*(people.operator.post(path) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert len(launcher.launched) == 1


async def test_a_task_follows_its_run(
    muster: Muster, people: People, launcher: RecordingLauncher
) -> None:
    await make_agent(people.editor)
    task = await make_task(people.editor, agent="researcher")
    run_id = (await run(people, task))["execution_id"]
    await follow(muster, task, run_id, "started")
    assert (await read(people.viewer, task))["status"] == "running"
    await follow(muster, task, run_id, "waiting")
    assert (await read(people.viewer, task))["status"] == "waiting"
    await follow(muster, task, run_id, "started")
    await follow(muster, task, run_id, "completed", result={"answer": 42})
    done = await read(people.viewer, task)
    assert (done["status"], done["result"], done["output"]) == (
        "completed",
        {"answer": 42},
        {"answer": 42},
    )
    assert done["started_at"] <= done["completed_at"]
    refused = await people.operator.post(f"/tasks/{task['id']}/cancel")
    assert (refused.status_code, refused.json()["error"]) == (409, "task_ended")
    assert await event_types(people.viewer, task) == [
        "task.created",
        "task.started",
        "task.waiting",
        "task.started",
        "task.completed",
    ]
    second = (await run(people, task))["execution_id"]
    assert (await read(people.viewer, task))["result"] == {"answer": 42}
    await follow(muster, task, run_id, "failed", error={"code": "late"})
    await follow(muster, task, second, "started")
    assert (await read(people.viewer, task))["result"] is None
    await follow(muster, task, second, "failed", error={"code": "boom", "message": "It broke."})
    failed = await read(people.viewer, task)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "boom")
    assert (await event_types(people.viewer, task))[-1] == "task.failed"
    assert len(launcher.launched) == 2


async def test_a_run_that_somebody_else_started(muster: Muster, people: People) -> None:
    task = await make_task(people.editor)
    mine, other = new_id(), new_id()
    await follow(muster, task, mine, "completed", result="nothing")
    assert (await read(people.viewer, task))["status"] == "draft"
    await follow(muster, task, mine, "running")
    await follow(muster, task, other, "running")
    await follow(muster, task, other, "stopped")
    assert (await read(people.viewer, task))["last_run_id"] == mine
    await follow(muster, task, mine, "pending")
    assert (await read(people.viewer, task))["status"] == "running"
    await follow(muster, task, mine, "stopped", error={"message": "Enough"})
    ended = await read(people.viewer, task)
    assert ended["status"] == "cancelled"
    await follow(muster, {**task, "id": new_id()}, mine, "running")
    elsewhere = {**task, "group_id": people.other_project_id}
    await follow(muster, elsewhere, mine, "running")
    assert (await read(people.viewer, task))["status"] == "cancelled"
    back = await people.editor.patch(f"/tasks/{task['id']}", json={"status": "draft"})
    assert (back.json()["status"], back.json()["completed_at"]) == ("draft", None)
