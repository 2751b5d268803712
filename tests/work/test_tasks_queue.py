"""The queue of tasks: whose, in which order, how many at once, and that nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from muster.domains.work.plans import Launcher, Target
from muster.domains.work.tasks import TaskQueue
from muster.entrypoints.assembly import Muster
from muster.kernel.errors import Unavailable
from muster.kernel.ids import new_id
from muster.platform.access import Caller
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
_PATIENCE_S = 20


@pytest.fixture
async def people(muster: Muster, connect: Callable[..., httpx2.AsyncClient]) -> People:
    """Everybody, in an application that leaves runs where they are."""
    return signed_in(await find_accounts(muster), connect)


class DyingLauncher(RecordingLauncher):
    """One whose process is gone before there is a run, as often as it is told."""

    def __init__(self, muster: Muster, deaths: list[BaseException]) -> None:
        super().__init__(muster)
        self._deaths = deaths
        self.asked: list[str] = []

    async def launch(self, caller: Caller, target: Target, *args: Any, **options: Any) -> str:
        self.asked.append(options["run_id"])
        if self._deaths:
            raise self._deaths.pop()
        return await super().launch(caller, target, *args, **options)


def queue_of(
    muster: Muster, launcher: Launcher, *, launched_within: timedelta = timedelta(minutes=1)
) -> TaskQueue:
    parts = muster.app.state.run_parts
    return TaskQueue(parts, launcher, launched_within=launched_within)


@pytest.fixture
def launcher(muster: Muster) -> RecordingLauncher:
    launcher = muster.app.state.launcher = RecordingLauncher(muster)
    return launcher


@pytest.fixture
def queue(muster: Muster, launcher: RecordingLauncher) -> TaskQueue:
    return queue_of(muster, launcher)


async def end_runs(muster: Muster, client: httpx2.AsyncClient, task: dict[str, Any]) -> None:
    run_id = (await read(client, task))["last_run_id"]
    await follow(muster, task, run_id, "started")
    await follow(muster, task, run_id, "completed", result="done")


async def test_only_agents_that_are_started_take_tasks(
    people: People, queue: TaskQueue, launcher: RecordingLauncher
) -> None:
    agent = await make_agent(people.editor)
    task = await make_task(people.editor, agent="researcher", description="Look it up")
    draft = await make_task(people.editor, agent="researcher", status="draft")
    assert await queue.once() == 0
    await people.editor.post(f"/agents/{agent['id']}/start")
    assert await queue.once() == 1
    taken = await read(people.viewer, task)
    assert launcher.launched == [(task["id"], taken["last_run_id"])]
    execution = (await people.viewer.get(f"/executions/{taken['last_run_id']}")).json()
    assert (execution["origin"], execution["started_by"]["name"]) == ("queue", "Editor")
    assert (execution["execution_type"], execution["inputs"]) == ("task", {})
    assert await queue.once() == 0
    assert (await read(people.viewer, draft))["last_run_id"] is None


async def test_tasks_of_a_crew_are_left_to_their_crew(
    people: People, queue: TaskQueue, launcher: RecordingLauncher
) -> None:
    await make_agent(people.editor, started=True)
    task = await make_task(people.editor, agent="researcher", crew_id=new_id())
    assert await queue.once() == 0
    freed = await people.editor.patch(f"/tasks/{task['id']}", json={"crew_id": None})
    assert freed.status_code == 200, freed.text
    assert await queue.once() == 1
    assert [task_id for task_id, _ in launcher.launched] == [task["id"]]


async def test_the_urgent_ones_first_and_one_at_a_time(
    muster: Muster, people: People, queue: TaskQueue, launcher: RecordingLauncher
) -> None:
    fields = {"agent": "researcher"}  # which is made after its tasks
    old = await make_task(people.editor, **fields, name="old")
    dated = await make_task(people.editor, **fields, name="dated", deadline="2099-01-01")
    sooner = await make_task(people.editor, **fields, name="sooner", deadline="2098-01-01")
    urgent = await make_task(people.editor, **fields, name="urgent", priority="critical")
    low = await make_task(
        people.editor, **fields, name="low", priority="low", deadline="2027-01-01"
    )
    await make_agent(people.editor, started=True)
    for number, task in enumerate((urgent, sooner, dated, old, low), start=1):
        assert await queue.once() == 1
        assert await queue.once() == 0
        assert len(launcher.launched) == number
        assert launcher.launched[-1][0] == task["id"]
        await end_runs(muster, people.viewer, task)
    assert await queue.once() == 0


async def test_an_agent_may_work_several_at_once(
    muster: Muster, people: People, queue: TaskQueue, launcher: RecordingLauncher
) -> None:
    await make_agent(people.editor, started=True, metadata={"max_concurrent_tasks": 2})
    tasks = [await make_task(people.editor, agent="researcher") for _ in range(4)]
    assert await queue.once() == 2
    first = await read(people.viewer, tasks[0])
    await follow(muster, first, first["last_run_id"], "started")
    assert await queue.once() == 0
    await follow(muster, first, first["last_run_id"], "waiting")
    assert await queue.once() == 1  # while a person is asked, the agent has time
    assert len(launcher.launched) == 3


async def test_many_queues_take_each_task_once(
    muster: Muster, people: People, launcher: RecordingLauncher
) -> None:
    await make_agent(people.editor, started=True, metadata={"max_concurrent_tasks": 3})
    await make_agent(people.editor, name="Other", key="other", started=True)
    for _ in range(4):
        await make_task(people.editor, agent="researcher")
        await make_task(people.editor, agent="other")
    queues = [queue_of(muster, launcher) for _ in range(6)]
    assert sum(await asyncio.gather(*(queue.once() for queue in queues))) == 4
    assert len({task_id for task_id, _ in launcher.launched}) == 4


async def test_a_claim_without_a_run_is_launched_again(muster: Muster, people: People) -> None:
    await make_agent(people.editor, started=True)
    task = await make_task(people.editor, agent="researcher")
    launcher = DyingLauncher(muster, [RuntimeError("gone"), Unavailable("not now")])
    patient = queue_of(muster, launcher)
    assert await patient.once() == 0
    run_id = (await read(people.viewer, task))["last_run_id"]
    assert await patient.once() == 0  # its process may be at it still
    others = queue_of(muster, launcher, launched_within=timedelta(0))
    assert await others.once() == 0
    assert await others.once() == 1
    assert await others.once() == 0
    assert launcher.asked == [run_id] * 3
    assert launcher.launched == [(task["id"], run_id)]
    assert (await people.viewer.get(f"/executions/{run_id}")).status_code == 200


async def test_a_run_that_was_made_otherwise_keeps_the_queue_away(
    muster: Muster, people: People, queue: TaskQueue, launcher: RecordingLauncher
) -> None:
    agent = await make_agent(people.editor, started=True)
    task = await make_task(people.editor, agent="researcher")
    made = await people.editor.post("/executions", json={"agent_id": agent["id"]})
    run_id = made.json()["execution_id"]
    await follow(muster, task, run_id, "created")
    assert await queue.once() == 0
    await follow(muster, task, new_id(), "created")
    await end_runs(muster, people.viewer, task)
    assert await queue.once() == 0
    done = await read(people.viewer, task)
    assert (done["status"], done["last_run_id"]) == ("completed", run_id)
    assert not launcher.launched


async def test_what_cannot_be_run_has_failed(people: People, queue: TaskQueue) -> None:
    await make_agent(people.editor, started=True, llm="no/such-model")
    task = await make_task(people.editor, agent="researcher")
    assert await queue.once() == 0
    failed = await read(people.viewer, task)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "plan_not_ready")
    assert "no/such-model" in failed["error"]["message"]
    assert await event_types(people.viewer, task) == ["task.created", "task.failed"]
    again = await people.editor.patch(f"/tasks/{task['id']}", json={"status": "pending"})
    assert again.json()["status"] == "pending"


async def test_nothing_is_run_for_who_may_no_longer(people: People, queue: TaskQueue) -> None:
    await make_agent(people.editor, started=True)
    task = await make_task(people.editor, agent="researcher")
    members = f"/projects/{people.project_id}/members"
    left = (await people.owner.get(members)).json()["items"]
    (user_id,) = [m["user_id"] for m in left if m["name"] == "Editor"]
    gone = await people.owner.delete(f"{members}/{user_id}")
    assert gone.status_code == 204, gone.text
    assert await queue.once() == 0
    failed = await read(people.viewer, task)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "task_not_permitted")


async def test_a_key_works_within_its_scopes(
    people: People, queue: TaskQueue, connect: Any
) -> None:
    await make_agent(people.editor, started=True)

    async def queued_with(*scopes: str) -> dict[str, Any]:
        body = {"name": f"Key {scopes}", "scopes": list(scopes)}
        key = (await people.editor.post("/security/api-keys", json=body)).json()
        client = connect(Authorization=f"Bearer {key['key']}")
        return await make_task(client, agent="researcher")

    narrow = await queued_with("tasks:write", "tasks:read")
    assert await queue.once() == 0
    assert (await read(people.viewer, narrow))["error"]["code"] == "task_not_permitted"
    wide = await queued_with("tasks:write", "tasks:read", "runs:execute")
    assert await queue.once() == 1
    run_id = (await read(people.viewer, wide))["last_run_id"]
    execution = (await people.viewer.get(f"/executions/{run_id}")).json()
    assert execution["started_by"]["kind"] == "user_key"


async def test_agents_of_workers_and_elsewhere_are_left_alone(
    people: People, queue: TaskQueue
) -> None:
    for key, fields in (("bound", {"worker_id": "w1"}), ("outside", {"kind": "external"})):
        await make_agent(people.editor, key=key, started=True, **fields)
        await make_task(people.editor, agent=key)
    assert await queue.once() == 0


class Slow(RecordingLauncher):
    """One during which the task is cancelled; its run may begin before that is noticed."""

    def __init__(self, muster: Muster, people: People, task: dict[str, Any]) -> None:
        super().__init__(muster)
        self._muster, self._people, self._task = muster, people, task

    async def launch(self, *args: Any, **options: Any) -> str:
        cancelled = await self._people.editor.post(f"/tasks/{self._task['id']}/cancel")
        assert cancelled.status_code == 200
        run_id = await super().launch(*args, **options)
        await follow(self._muster, self._task, run_id, "started")
        return run_id


@pytest.mark.parametrize("by_queue", [True, False])
async def test_a_task_that_is_cancelled_while_it_is_launched(
    muster: Muster, people: People, *, by_queue: bool
) -> None:
    await make_agent(people.editor, started=True)
    task = await make_task(people.editor, agent="researcher")
    launcher = muster.app.state.launcher = Slow(muster, people, task)
    if by_queue:
        await queue_of(muster, launcher).once()
    else:
        await people.operator.post(f"/tasks/{task['id']}/run")
    ended = await read(people.viewer, task)
    assert ended["status"] == "cancelled"
    execution = (await people.viewer.get(f"/executions/{ended['last_run_id']}")).json()
    assert execution["status"] == "cancelled"
    assert await event_types(people.viewer, task) == ["task.created", "task.cancelled"]
    assert (await people.editor.delete(f"/tasks/{task['id']}")).status_code == 204


async def test_a_task_that_is_cancelled_after_its_claimer_died(
    muster: Muster, people: People
) -> None:
    await make_agent(people.editor, started=True)
    task = await make_task(people.editor, agent="researcher")
    launcher = DyingLauncher(muster, [RuntimeError("gone")])
    await queue_of(muster, launcher).once()
    await people.editor.post(f"/tasks/{task['id']}/cancel")
    assert await queue_of(muster, launcher, launched_within=timedelta(0)).once() == 0
    assert len(launcher.asked) == 1
    assert (await people.editor.delete(f"/tasks/{task['id']}")).status_code == 204


@asynccontextmanager
async def at_work(queue: TaskQueue) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_queue_wakes_when_a_task_is_there(
    muster: Muster, people: People, queue: TaskQueue, launcher: RecordingLauncher
) -> None:
    await make_agent(people.editor, started=True)
    async with at_work(queue):
        for number in (1, 2):
            task = await make_task(people.editor, agent="researcher")
            async with asyncio.timeout(_PATIENCE_S):
                while len(launcher.launched) < number:
                    await asyncio.sleep(0.01)
            await end_runs(muster, people.viewer, task)
