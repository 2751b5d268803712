"""Worker nodes: registered, approved, alive or silent, and in figures."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from muster.domains.work.workers import WorkerNode, WorkerWatch
from muster.engine import Executor
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio

RACK = {
    "name": "rack-3",
    "hostname": "rack-3.example.org",
    "ip_address": "10.0.0.7",
    "max_agents": 4,
    "cpu_cores": 16,
    "memory_total_mb": 65_536,
    "os_info": {"system": "Linux", "release": "6.8"},
}
BUSY = {"cpu_usage_percent": 40.5, "memory_usage_percent": 10, "disk_usage_percent": 99}


async def registered(people: People, **fields: Any) -> dict[str, Any]:
    answer = await people.editor.post("/workers/register", json={**RACK, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def beat(people: People, worker: dict[str, Any], **usage: Any) -> dict[str, Any]:
    path = f"/workers/{worker['id']}/heartbeat"
    answer = await people.editor.post(path, json={**BUSY, **usage})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def approve(people: People, worker: dict[str, Any], **body: Any) -> dict[str, Any]:
    path = f"/admin/workers/{worker['id']}/approve"
    answer = await people.admin.patch(path, json={"is_approved": True, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def fall_silent(muster: Muster, worker: dict[str, Any], seconds: float = 61) -> None:
    moment = clock.now() - timedelta(seconds=seconds)
    async with muster.database.write() as session:
        await session.execute(
            update(WorkerNode).where(WorkerNode.id == worker["id"]).values(heartbeat_at=moment)
        )


async def test_a_worker_registers_and_waits_for_approval(people: People, muster: Muster) -> None:
    body = await registered(people)
    assert {name: body[name] for name in RACK} == RACK
    assert (body["status"], body["last_heartbeat_at"]) == ("offline", None)
    assert (body["approval_status"], body["is_approved"]) == ("pending", False)
    assert body["project_id"] == people.project_id
    assert body.pop("registration_status") == "created"
    assert (await people.viewer.get(f"/workers/{body['id']}")).json() == body
    (event,) = await recorded(muster, "worker.registered", chain=people.project_id)
    assert (event.subject_type, event.subject_id) == ("worker", body["id"])


async def test_registering_again_changes_the_same_worker(people: People, muster: Muster) -> None:
    first = await registered(people)
    await approve(people, first)
    again = await people.editor.post("/workers/register", json={**RACK, "max_agents": 9})
    body = again.json()
    assert (again.status_code, body["registration_status"]) == (201, "updated")
    assert (body["id"], body["max_agents"], body["is_approved"]) == (first["id"], 9, True)
    await people.editor.post("/workers/register", json={**RACK, "max_agents": 9})
    (event,) = await recorded(muster, "worker.updated", chain=people.project_id)
    assert event.data["changed"] == ["max_agents"]
    elsewhere = await people.outsider.post("/workers/register", json=RACK)
    assert elsewhere.status_code == 201
    assert elsewhere.json()["id"] != first["id"]


async def test_of_many_registrations_at_once_one_makes_the_worker(people: People) -> None:
    answers = await asyncio.gather(
        *(people.editor.post("/workers/register", json=RACK) for _ in range(5))
    )
    told = [answer.json()["registration_status"] for answer in answers]
    assert sorted(told) == ["created"] + ["updated"] * 4
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"max_agents": -1},
        {"cpu_cores": 0},
        {"memory_total_mb": 2**62},
        {"os_info": "x" * 10_001},
        {"os_info": [1]},
        {"unknown": 1},
    ],
)
async def test_what_is_no_worker_is_refused(people: People, fields: dict[str, Any]) -> None:
    answer = await people.editor.post("/workers/register", json={**RACK, **fields})
    assert answer.status_code == 422, answer.text


async def test_a_heartbeat_is_a_sign_of_life(people: People, muster: Muster) -> None:
    worker = await registered(people)
    body = await beat(people, worker)
    assert {name: body[name] for name in BUSY} == BUSY
    assert body["status"] == "online"
    await beat(people, worker, cpu_usage_percent=None)
    later = (await people.viewer.get(f"/workers/{worker['id']}")).json()
    assert (later["cpu_usage_percent"], later["disk_usage_percent"]) == (None, 99)
    assert later["last_heartbeat_at"] > body["last_heartbeat_at"]
    (event,) = await recorded(muster, "worker.online", chain=people.project_id)
    assert event.data == {"worker_id": worker["id"], "name": "rack-3"}
    path = f"/workers/{worker['id']}/heartbeat"
    for usage in ({"cpu_usage_percent": 101}, {"disk_usage_percent": -1}, {"x": 1}):
        assert (await people.editor.post(path, json=usage)).status_code == 422
    assert (await people.editor.post(path)).status_code == 200


async def test_silence_is_told_once(people: People, muster: Muster) -> None:
    worker, other = await registered(people), await registered(people, name="other")
    await beat(people, worker)
    await beat(people, other)
    watch = WorkerWatch(muster.database)
    await watch.once()
    assert await recorded(muster, "worker.offline", chain=people.project_id) == []
    await fall_silent(muster, worker)
    assert (await people.viewer.get(f"/workers/{worker['id']}")).json()["status"] == "offline"
    await asyncio.gather(*(WorkerWatch(muster.database).once() for _ in range(3)))
    await watch.once()
    (event,) = await recorded(muster, "worker.offline", chain=people.project_id)
    assert (event.subject_id, event.actor_kind) == (worker["id"], "system")
    await beat(people, worker)
    names = [fact.type for fact in await recorded(muster, chain=people.project_id)]
    assert names.count("worker.online") == 3
    assert names.count("worker.offline") == 1


async def test_heartbeats_at_once_tell_it_once(people: People, muster: Muster) -> None:
    worker = await registered(people)
    await asyncio.gather(*(beat(people, worker) for _ in range(5)))
    assert len(await recorded(muster, "worker.online", chain=people.project_id)) == 1


async def test_an_admin_decides(people: People, muster: Muster) -> None:
    worker = await registered(people)
    body = await approve(people, worker, group="gpu")
    assert (body["approval_status"], body["group"]) == ("approved", "gpu")
    assert body["decided_at"] is not None
    assert await approve(people, worker) == body
    path = f"/admin/workers/{worker['id']}/approve"
    rejected = (await people.admin.patch(path, json={"is_approved": False, "group": ""})).json()
    assert (rejected["approval_status"], rejected["group"]) == ("rejected", None)
    facts = await recorded(muster, "worker.approved", "worker.rejected", chain=people.project_id)
    assert [fact.type for fact in facts] == ["worker.approved", "worker.rejected"]
    assert facts[0].data["group"] == "gpu"
    assert (await people.admin.patch(path, json={})).status_code == 422


async def test_admins_see_the_workers_of_all_projects(people: People, muster: Muster) -> None:
    mine = await registered(people)
    other = (await people.outsider.post("/workers/register", json=RACK)).json()
    await beat(people, mine)
    page = (await people.admin.get("/admin/workers")).json()
    assert {item["id"] for item in page["items"]} == {mine["id"], other["id"]}
    assert {item["cpu_usage_percent"] for item in page["items"]} == {40.5, None}
    params = {"project_id": people.other_project_id}
    page = (await people.admin.get("/admin/workers", params=params)).json()
    assert [item["id"] for item in page["items"]] == [other["id"]]
    await approve(people, other)
    (fact,) = await recorded(muster, "worker.approved", chain=people.other_project_id)
    assert fact.subject_id == other["id"]
    assert (await people.admin.delete(f"/admin/workers/{other['id']}")).status_code == 204
    assert (await people.admin.delete(f"/admin/workers/{other['id']}")).status_code == 404
    (fact,) = await recorded(muster, "worker.deleted", chain=people.other_project_id)
    assert fact.subject_id == other["id"]


async def test_who_may_do_what(people: People) -> None:
    worker = await registered(people)
    path = f"/workers/{worker['id']}"
    for person in (people.viewer, people.operator):
        assert (await person.get("/workers/overview")).status_code == 200
        assert (await person.post("/workers/register", json=RACK)).status_code == 403
        assert (await person.post(f"{path}/heartbeat", json=BUSY)).status_code == 403
        assert (await person.delete(path)).status_code == 403
    decision = {"is_approved": True}
    for person in (people.editor, people.owner):
        assert (await person.get("/admin/workers")).status_code == 403
        refused = await person.patch(f"/admin{path}/approve", json=decision)
        assert refused.status_code == 403
        assert (await person.delete(f"/admin{path}")).status_code == 403
    assert (await people.outsider.get(path)).status_code == 404
    assert (await people.outsider.post(f"{path}/heartbeat", json=BUSY)).status_code == 404
    assert (await people.outsider.delete(path)).status_code == 404
    assert (await people.outsider.get("/workers")).json()["items"] == []
    assert (await people.editor.delete(path)).status_code == 204
    assert (await people.editor.get(path)).status_code == 404


async def test_the_list_is_filtered(people: People, muster: Muster) -> None:
    alive, silent, new = [
        await registered(people, name=name, hostname=f"{name}.example.org")
        for name in ("alive", "silent", "new")
    ]
    await beat(people, alive)
    await beat(people, silent)
    await fall_silent(muster, silent)
    await approve(people, alive, group="a")
    await people.admin.patch(f"/admin/workers/{silent['id']}/approve", json={"is_approved": False})

    async def names(**params: Any) -> list[str]:
        page = (await people.viewer.get("/workers", params=params)).json()
        return [item["name"] for item in page["items"]]

    assert await names() == ["new", "silent", "alive"]
    assert await names(status="online") == ["alive"]
    assert await names(status="offline") == ["new", "silent"]
    assert await names(approval_status="pending") == ["new"]
    assert await names(approval_status="rejected") == ["silent"]
    assert await names(group="a") == ["alive"]
    assert await names(search="W.EXAMPLE") == ["new"]
    assert (await people.viewer.get("/workers", params={"status": "x"})).status_code == 422
    assert new["status"] == "offline"


async def test_the_fleet_in_figures(people: People, muster: Muster) -> None:
    empty = (await people.viewer.get("/workers/overview")).json()
    assert (empty["total"], empty["mean_usage"]["cpu_usage_percent"]) == (0, None)
    working = await registered(people, name="working", max_agents=4)
    waiting = await registered(people, name="waiting", max_agents=8)
    silent = await registered(people, name="silent", max_agents=16)
    await people.outsider.post("/workers/register", json=RACK)
    await beat(people, working, cpu_usage_percent=10)
    await beat(people, waiting, cpu_usage_percent=20, memory_usage_percent=None)
    await beat(people, silent, cpu_usage_percent=100)
    await fall_silent(muster, silent)
    for worker in (working, silent):
        await approve(people, worker)
        for number in range(2):
            agent = {"name": f"Agent {number}", "worker_id": worker["id"]}
            assert (await people.editor.post("/agents", json=agent)).status_code == 201
    body = (await people.viewer.get("/workers/overview")).json()
    counts = {name: value for name, value in body.items() if isinstance(value, int)}
    assert counts == {
        "total": 3,
        "online": 2,
        "offline": 1,
        "approved": 2,
        "pending_approval": 1,
        "rejected": 0,
    }
    assert body["capacity"] == {"max_agents": 4, "agents": 2, "free": 2}
    assert body["mean_usage"] == {
        "cpu_usage_percent": 15,
        "memory_usage_percent": 10,
        "disk_usage_percent": 99,
    }
    shown = (await people.viewer.get(f"/workers/{silent['id']}")).json()
    assert (shown["agents"], shown["status"]) == (2, "offline")


async def test_processes_that_execute_runs_are_shown(people: People, muster: Muster) -> None:
    moment = clock.now()
    common = {
        "host": "secret-host",
        "pid": 1,
        "boot": "b",
        "process_started": "p",
        "version": "1.0",
        "concurrency": 8,
        "started_at": moment,
    }
    rows = [
        {**common, "id": "lives", "heartbeat_at": moment, "stopped_at": None},
        {
            **common,
            "id": "hangs",
            "heartbeat_at": moment - timedelta(seconds=90),
            "stopped_at": None,
        },
        {**common, "id": "ended", "heartbeat_at": moment, "stopped_at": moment},
    ]
    async with muster.database.write() as session:
        await session.execute(insert(Executor), rows)
    shown = (await people.viewer.get("/workers/overview")).json()["executors"]
    found = {one["id"]: (one["kind"], one["status"], one["max_runs"]) for one in shown}
    assert found["lives"] == ("executor", "online", 8)
    assert found["hangs"] == ("executor", "offline", 8)
    assert "ended" not in found
    assert {one["hostname"] for one in shown} == {None}
    body = (await people.superadmin.get("/workers/overview")).json()
    assert "secret-host" in {one["hostname"] for one in body["executors"]}


async def test_utilization(people: People, muster: Muster) -> None:
    for name in ("b", "a", "c"):
        worker = await registered(people, name=name)
        if name != "c":
            await beat(people, worker, cpu_usage_percent=30 if name == "a" else 60)
    body = (await people.viewer.get("/analytics/workers/utilization")).json()
    assert [item["name"] for item in body["items"]] == ["a", "b", "c"]
    assert [item["cpu_usage_percent"] for item in body["items"]] == [30, 60, None]
    assert (body["mean_usage"]["cpu_usage_percent"], body["online"]) == (45, 2)
    assert body["total"] == 3
