"""Tasks that worker nodes pull: claimed by one, reported by the one that has it, never lost."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from muster.domains.work.tasks import Task
from muster.domains.work.workers import WorkerWatch
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.platform.recorded import recorded
from tests.support.people import People
from tests.work.tasks_setting import make_agent, make_task, read
from tests.work.test_workers import approve, beat, fall_silent, registered

pytestmark = pytest.mark.anyio

Json = dict[str, Any]


async def at_work(people: People, name: str = "rack-3", **decision: Any) -> Json:
    """Return a worker that may take tasks."""
    worker = await registered(people, name=name)
    await approve(people, worker, **decision)
    return await beat(people, worker)


async def queued(people: People, bound_to: str, *names: str, **fields: Any) -> list[Json]:
    """Return tasks in the queue of a started agent that is bound to a worker or a group."""
    agent = await make_agent(people.editor, started=True, worker_id=bound_to)
    named = names or ("Research",)
    return [await make_task(people.editor, name=n, agent=agent["id"], **fields) for n in named]


async def claim(
    people: People, worker: Json, task: Json, person: httpx2.AsyncClient | None = None, **body: Any
) -> httpx2.Response:
    path = f"/workers/{worker['id']}/tasks/{task['id']}/claim"
    return await (person or people.editor).post(path, json=body)


async def report(
    people: People, worker: Json, task: Json, person: httpx2.AsyncClient | None = None, **body: Any
) -> httpx2.Response:
    path = f"/workers/{worker['id']}/tasks/{task['id']}/result"
    return await (person or people.editor).post(path, json={"status": "completed", **body})


async def offered(people: People, worker: Json, **params: Any) -> list[str]:
    answer = await people.editor.get(f"/workers/{worker['id']}/tasks", params=params)
    assert answer.status_code == 200, answer.text
    return [task["name"] for task in answer.json()["items"]]


async def lapse(muster: Muster, task: Json) -> None:
    """Let the lease of a task have lapsed."""
    lapsed = update(Task).where(Task.id == task["id"], Task.lease_until.is_not(None))
    async with muster.database.write() as session:
        await session.execute(lapsed.values(lease_until=clock.now() - timedelta(seconds=1)))


async def test_a_worker_takes_a_task_and_reports_its_result(people: People, muster: Muster) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"])
    assert await offered(people, worker) == ["Research"]
    before = clock.now()
    answer = await claim(people, worker, task)
    body = answer.json()
    assert (answer.status_code, body["status"], body["worker_id"]) == (200, "running", worker["id"])
    assert body["lease_until"] >= clock.iso(before + timedelta(seconds=299))
    assert await offered(people, worker) == []
    ended = await report(people, worker, task, result={"answer": [42]})
    body = ended.json()
    assert (ended.status_code, body["status"], body["lease_until"]) == (200, "completed", None)
    assert (body["result"], body["error"], body["worker_id"]) == (
        {"answer": [42]},
        None,
        worker["id"],
    )
    assert await read(people.viewer, task) == body | {
        "configuration_status": (await read(people.viewer, task))["configuration_status"]
    }
    (fact,) = await recorded(muster, "worker.task_claimed", chain=people.project_id)
    assert (fact.subject_id, fact.data["task_id"]) == (worker["id"], task["id"])
    facts = await recorded(muster, chain=people.project_id)
    assert [f.type for f in facts if f.subject_id == task["id"]] == [
        "task.created",
        "task.started",
        "task.completed",
    ]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("No disk left", {"code": "worker_failed", "message": "No disk left"}),
        ({"code": "no_disk", "free": 0}, {"code": "no_disk", "free": 0}),
        (None, {"code": "worker_failed", "message": "The worker told no reason."}),
    ],
)
async def test_a_task_may_fail(people: People, muster: Muster, error: Any, shown: Json) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"])
    await claim(people, worker, task)
    body = (await report(people, worker, task, status="failed", error=error, result=1)).json()
    assert (body["status"], body["error"], body["result"]) == ("failed", shown, 1)
    (fact,) = await recorded(muster, "task.failed", chain=people.project_id)
    assert fact.data["code"] == shown["code"]


async def test_of_workers_that_race_one_gets_the_task(people: People, muster: Muster) -> None:
    workers = [await at_work(people, f"rack-{number}", group="gpu") for number in range(4)]
    tasks = await queued(people, "gpu", "A", "B", "C")
    for task in tasks:
        answers = await asyncio.gather(*(claim(people, worker, task) for worker in workers))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [200, 409, 409, 409]
        refused = next(answer for answer in answers if answer.status_code == 409)
        assert refused.json()["type"] == "/problems/task_leased"
    assert len(await recorded(muster, "worker.task_claimed", chain=people.project_id)) == 3
    assert len(await recorded(muster, "task.started", chain=people.project_id)) == 3


async def test_one_worker_that_claims_again_has_it_for_longer(
    people: People, muster: Muster
) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"])
    first = await asyncio.gather(*(claim(people, worker, task, lease_s=60) for _ in range(4)))
    assert {answer.status_code for answer in first} == {200}
    longer = (await claim(people, worker, task, lease_s=3_600)).json()
    assert longer["lease_until"] > max(answer.json()["lease_until"] for answer in first)
    assert len(await recorded(muster, "worker.task_claimed", chain=people.project_id)) == 1
    for lease_s in (0, 3_601, "x", None):
        assert (await claim(people, worker, task, lease_s=lease_s)).status_code == 422


async def test_what_a_dead_worker_had_another_gets(people: People, muster: Muster) -> None:
    dead, alive = [await at_work(people, name, group="gpu") for name in ("dead", "alive")]
    (task,) = await queued(people, "gpu")
    assert (await claim(people, dead, task, lease_s=1)).status_code == 200
    await lapse(muster, task)
    await fall_silent(muster, dead)
    await asyncio.gather(*(WorkerWatch(muster.database).once() for _ in range(3)))
    shown = await read(people.viewer, task)
    assert (shown["status"], shown["worker_id"], shown["lease_until"]) == ("pending", None, None)
    (fact,) = await recorded(muster, "task.returned", chain=people.project_id)
    assert (fact.data["worker_id"], fact.actor_kind) == (dead["id"], "system")
    assert (await claim(people, dead, task)).json()["type"] == "/problems/worker_not_ready"
    assert (await claim(people, alive, task)).status_code == 200
    assert (await report(people, dead, task, result="late")).json()[
        "type"
    ] == "/problems/task_not_leased"
    assert (await report(people, alive, task, result="mine")).status_code == 200
    assert (await read(people.viewer, task))["result"] == "mine"


async def test_a_lapsed_lease_binds_nobody_before_it_is_found(
    people: People, muster: Muster
) -> None:
    late, other = [await at_work(people, name, group="gpu") for name in ("late", "other")]
    (task,) = await queued(people, "gpu")
    await claim(people, late, task)
    await lapse(muster, task)
    assert (await report(people, late, task)).json()["type"] == "/problems/task_not_leased"
    answers = await asyncio.gather(claim(people, other, task), WorkerWatch(muster.database).once())
    assert answers[0].status_code == 200
    assert (await read(people.viewer, task))["worker_id"] == other["id"]
    assert len(await recorded(muster, "task.returned", chain=people.project_id)) == 1


async def test_a_heartbeat_renews_the_leases(people: People, muster: Muster) -> None:
    worker = await at_work(people)
    kept, lost = await queued(people, worker["id"], "Kept", "Lost")
    soon = (await claim(people, worker, kept, lease_s=900)).json()["lease_until"]
    await claim(people, worker, lost)
    await lapse(muster, lost)
    await beat(people, worker)
    assert (await read(people.viewer, kept))["lease_until"] > soon
    await WorkerWatch(muster.database).once()
    assert (await read(people.viewer, kept))["status"] == "running"
    assert (await read(people.viewer, lost))["status"] == "pending"


async def test_only_workers_that_are_approved_and_online_take_tasks(
    people: People, muster: Muster
) -> None:
    worker = await registered(people)
    (task,) = await queued(people, worker["id"])

    async def told() -> set[str]:
        listed = await people.editor.get(f"/workers/{worker['id']}/tasks")
        answers = [listed, await claim(people, worker, task)]
        assert {(a.status_code, a.json()["type"]) for a in answers} == {
            (409, "/problems/worker_not_ready")
        }
        return {a.json()["detail"] for a in answers}

    await beat(people, worker)
    assert "approval" in (await told()).pop()
    await approve(people, worker)
    assert await offered(people, worker) == ["Research"]
    await fall_silent(muster, worker)
    assert "heartbeat" in (await told()).pop()
    await beat(people, worker)
    await approve(people, worker, is_approved=False)
    assert "rejected" in (await told()).pop()


async def test_what_a_worker_had_returns_when_it_is_rejected_or_deleted(
    people: People, muster: Muster
) -> None:
    worker, other = await at_work(people, "a", group="g"), await at_work(people, "b", group="g")
    task, second = await queued(people, "g", "One", "Two")
    await claim(people, worker, task)
    await claim(people, other, second)
    await approve(people, worker, is_approved=False)
    assert (await read(people.viewer, task))["status"] == "pending"
    assert (await report(people, worker, task)).json()["type"] == "/problems/worker_not_ready"
    assert (await people.editor.delete(f"/workers/{other['id']}")).status_code == 204
    assert (await read(people.viewer, second))["status"] == "pending"
    assert (await report(people, other, second)).status_code == 404
    facts = await recorded(muster, "task.returned", chain=people.project_id)
    assert [fact.data["worker_id"] for fact in facts] == [worker["id"], other["id"]]


async def test_tasks_of_others_are_not_taken(people: People) -> None:
    worker, other = await at_work(people), await at_work(people, "other")
    (task,) = await queued(people, worker["id"])
    unbound = await make_task(people.editor, name="Nobody's")
    assert await offered(people, other) == []
    for one in (task, unbound):
        refused = await claim(people, other, one)
        assert (refused.status_code, refused.json()["type"]) == (
            409,
            "/problems/task_not_for_worker",
        )
    await claim(people, worker, task)
    bodies: list[dict[str, Any]] = [{"status": "completed"}, {"status": "failed", "error": "x"}]
    for body in bodies:
        refused = await report(people, other, task, **body)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/task_not_leased")
    assert (await read(people.viewer, task))["status"] == "running"
    assert (await claim(people, worker, {"id": worker["id"]})).status_code == 404


async def test_another_project_sees_neither_worker_nor_task(people: People) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"])
    theirs = (await people.outsider.post("/workers/register", json={"name": "theirs"})).json()
    await approve(people, theirs)
    await people.outsider.post(f"/workers/{theirs['id']}/heartbeat")
    outsider = people.outsider
    assert (await outsider.get(f"/workers/{worker['id']}/tasks")).status_code == 404
    assert (await outsider.get(f"/workers/{theirs['id']}/tasks")).json()["items"] == []
    for one in (worker, theirs):
        assert (await claim(people, one, task, outsider)).status_code == 404
    await claim(people, worker, task)
    for one in (worker, theirs):
        assert (await report(people, one, task, outsider)).status_code == 404


async def test_roles(people: People) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"])
    for person in (people.viewer, people.operator):
        assert (await person.get(f"/workers/{worker['id']}/tasks")).status_code == 403
        assert (await claim(people, worker, task, person)).status_code == 403
        assert (await report(people, worker, task, person)).status_code == 403
    assert (await claim(people, worker, task, people.owner)).status_code == 200


async def test_the_list_is_in_the_order_of_the_queue(people: People) -> None:
    worker = await at_work(people, group="gpu")
    agent = await make_agent(people.editor, started=True, worker_id="gpu")
    stopped = await make_agent(people.editor, name="Stopped", key="stopped", worker_id=worker["id"])
    for name, fields in {
        "low": {"priority": "low"},
        "plain": {},
        "due": {"deadline": "2030-01-01T00:00:00Z"},
        "draft": {"status": "draft"},
        "critical": {"priority": "critical"},
    }.items():
        await make_task(people.editor, name=name, agent=agent["key"], **fields)
    idle = await make_task(people.editor, name="idle", agent=stopped["id"])
    assert await offered(people, worker) == ["critical", "due", "plain", "low"]
    assert await offered(people, worker, limit=2, offset=1) == ["due", "plain"]
    refused = await claim(people, worker, idle)
    assert (refused.status_code, "start" in refused.json()["detail"]) == (409, True)
    shown = (await people.viewer.get(f"/workers/{worker['id']}")).json()
    assert shown["agents"] == 2
    capacity = (await people.viewer.get("/workers/overview")).json()["capacity"]
    assert capacity["agents"] == 2


async def test_what_a_person_does_with_the_task_meanwhile(people: People) -> None:
    worker = await at_work(people)
    cancelled, ended = await queued(people, worker["id"], "Cancelled", "Ended")
    for task in (cancelled, ended):
        await claim(people, worker, task)
        assert (await people.editor.delete(f"/tasks/{task['id']}")).status_code == 409
        run = await people.editor.post(f"/tasks/{task['id']}/run")
        assert (run.status_code, run.json()["type"]) == (409, "/problems/task_at_work")
    stopped = await people.editor.post(f"/tasks/{cancelled['id']}/cancel")
    assert stopped.status_code == 200
    for answer in (
        await claim(people, worker, cancelled),
        await report(people, worker, cancelled, result=1),
    ):
        assert answer.status_code == 409
        assert "cancelled" in answer.json()["detail"]
    assert (await read(people.viewer, cancelled))["result"] is None
    await report(people, worker, ended, result=1)
    assert "completed" in (await report(people, worker, ended, result=2)).json()["detail"]
    assert (await people.editor.delete(f"/tasks/{ended['id']}")).status_code == 204


async def test_a_task_that_is_done_again_forgets_the_worker(people: People) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"])
    await claim(people, worker, task)
    await report(people, worker, task, status="failed", error="x")
    await people.editor.patch(f"/tasks/{task['id']}", json={"status": "pending"})
    assert await offered(people, worker) == ["Research"]
    body = (await claim(people, worker, task)).json()
    assert (body["status"], body["error"]) == ("running", None)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "done"},
        {"status": "completed", "error": "x"},
        {"status": "failed", "error": 3},
        {"status": "completed", "unknown": 1},
        {"status": None},
    ],
)
async def test_what_is_no_result_is_refused(people: People, body: Json) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"])
    await claim(people, worker, task)
    assert (await report(people, worker, task, **body)).status_code == 422
    assert (await read(people.viewer, task))["status"] == "running"
