"""The event log through HTTP: lists, filters, single events, the audit log."""

from datetime import timedelta
from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.platform.events import event_reference, event_types
from tests.platform.event_facts import (
    agent_created,
    agent_status,
    run_completed,
    run_created,
    run_started,
    tell,
)
from tests.support.people import People

pytestmark = pytest.mark.anyio


async def test_an_event_tells_who_did_what_to_what_and_when(muster: Muster, people: People) -> None:
    before = clock.iso(clock.now())
    created = await people.owner.post("/projects", json={"name": "Told"})
    project_id = created.json()["id"]
    answer = await people.owner.get("/events", headers={"X-Project-Id": project_id})

    assert answer.status_code == 200
    page = answer.json()
    assert {k: page[k] for k in ("total", "limit", "offset", "has_more", "next_cursor")} == {
        "total": len(page["items"]),
        "limit": 50,
        "offset": 0,
        "has_more": False,
        "next_cursor": None,
    }
    event = page["items"][-1]
    me = (await people.owner.get("/auth/me")).json()
    assert event["seq"] == 1
    assert event["type"] == event["event"] == "project.created"
    assert event["project_id"] == event["group_id"] == project_id
    assert event["actor"] == {"kind": "user", "id": me["id"], "name": me["name"]}
    assert event["subject"] == {"type": "project", "id": project_id}
    assert event["data"]["name"] == "Told"
    assert event["request_id"] == created.headers["x-request-id"]
    assert before <= event["created_at"] == event["timestamp"] <= clock.iso(clock.now())
    assert event["previous_hash"] == "0" * 64
    assert len(event["hash"]) == 64

    same = await people.owner.get(f"/events/{event['id']}", headers={"X-Project-Id": project_id})
    assert same.json() == event


async def test_the_newest_event_is_first_unless_asked_otherwise(
    muster: Muster, people: People
) -> None:
    await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(5)))

    newest = (await people.viewer.get("/events", params={"type": "run.created"})).json()["items"]
    oldest = (
        await people.viewer.get("/events", params={"type": "run.created", "order": "asc"})
    ).json()["items"]

    assert [e["data"]["run_id"] for e in newest] == [f"run-{n}" for n in (4, 3, 2, 1, 0)]
    assert oldest == newest[::-1]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_cursor_walks_through_all_events_once(
    muster: Muster, people: People, order: str
) -> None:
    await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(7)))
    params = {"type": "run.*", "limit": "3", "order": order}
    seen: list[int] = []
    page: dict[str, Any] = {}
    for _ in range(3):
        page = (await people.viewer.get("/events", params=params)).json()
        assert (page["total"] is None) == ("cursor" in params)
        seen += [event["seq"] for event in page["items"]]
        params["cursor"] = page["next_cursor"]

    assert page["next_cursor"] is None
    assert len(seen) == 7
    assert seen == sorted(set(seen), reverse=order == "desc")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": "run.created"}, ["run.created"]),
        ({"type": "run.*"}, ["run.created", "run.started", "run.completed"]),
        ({"type": "*.created"}, ["agent.created", "run.created"]),
        ({"type": "agent.status, run.started"}, ["agent.status", "run.started"]),
        ({"type": "*"}, None),
        ({"subject_type": "agent"}, ["agent.created", "agent.status"]),
        ({"subject_id": "run-1"}, ["run.created", "run.started"]),
        ({"subject_type": "agent", "subject_id": "run-1"}, []),
        ({"actor_id": "system", "type": "agent.created"}, ["agent.created"]),
        ({"actor_id": "nobody"}, []),
        ({"after_seq": "3"}, ["run.started", "run.completed"]),
        ({"type": "agent_.*"}, []),
    ],
)
async def test_filters_narrow_the_list(
    muster: Muster, people: People, filters: dict[str, str], expected: list[str] | None
) -> None:
    told = [
        agent_created(),
        agent_status(),
        run_created(),
        run_started(),
        run_completed("run-2"),
    ]
    await tell(muster, people.project_id, *told)

    answer = await people.viewer.get("/events", params={**filters, "order": "asc"})

    assert answer.status_code == 200
    types = [event["type"] for event in answer.json()["items"]]
    assert types == ([event.type for event in told] if expected is None else expected)
    assert answer.json()["total"] == len(types)


async def test_events_are_found_by_their_time(muster: Muster, people: People) -> None:
    await tell(muster, people.project_id, agent_created())
    event = (await people.viewer.get("/events")).json()["items"][0]
    at = event["created_at"]
    later = clock.iso(clock.now() + timedelta(hours=1))

    async def count(**params: str) -> int:
        return int((await people.viewer.get("/events", params=params)).json()["total"])

    assert await count(created_from=at, created_to=at) == 1
    assert await count(created_from=later) == 0
    assert await count(created_to=later) == 1
    assert await count(created_from=at.removesuffix("Z")) == 1  # without a zone: UTC


@pytest.mark.parametrize(
    "params",
    [
        {"type": "Run.Created"},
        {"type": ","},
        {"type": "run..created"},
        {"type": ",".join(["a"] * 101)},
        {"order": "sideways"},
        {"created_from": "yesterday"},
        {"created_from": "0001-01-01T00:00:00+14:00"},
        {"after_seq": "-1"},
        {"limit": "0"},
        {"project_id": "another"},
    ],
)
async def test_a_wrong_filter_is_refused(people: People, params: dict[str, str]) -> None:
    answer = await people.viewer.get("/events", params=params)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in params


async def test_a_broken_cursor_is_refused(people: People) -> None:
    answer = await people.viewer.get("/events", params={"cursor": "%%%"})

    assert answer.status_code == 400
    assert answer.json()["error"] == "bad_cursor"


async def test_another_project_does_not_see_the_events(muster: Muster, people: People) -> None:
    await tell(muster, people.project_id, agent_created())
    event = (await people.viewer.get("/events")).json()["items"][0]

    listed = await people.outsider.get("/events")
    found = await people.outsider.get(f"/events/{event['id']}")

    assert event["id"] not in [e["id"] for e in listed.json()["items"]]
    assert found.status_code == 404
    assert found.json()["error"] == "event_not_found"


@pytest.mark.parametrize("path", ["/events", "/events/some-id", "/events/verify", "/admin/audit"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_the_log_can_only_be_read(people: People, path: str, method: str) -> None:
    answer = await people.superadmin.request(method, path, json={})

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


async def test_an_admin_audits_every_chain(muster: Muster, people: People) -> None:
    await tell(muster, people.project_id, agent_created("Ada"))
    await tell(muster, people.other_project_id, agent_created("Bea"))
    await people.owner.post("/auth/login", json={"email": "x@muster.test", "password": "wrong one"})

    everything = (await people.admin.get("/admin/audit", params={"limit": 200})).json()
    one = await people.admin.get("/admin/audit", params={"project_id": people.other_project_id})
    platform = await people.admin.get("/admin/audit", params={"project_id": "platform"})
    agents = await people.admin.get("/admin/audit", params={"type": "agent.*", "order": "asc"})

    times = [event["created_at"] for event in everything["items"]]
    assert times == sorted(times, reverse=True)
    assert {None, people.project_id, people.other_project_id} <= {
        event["project_id"] for event in everything["items"]
    }
    assert [e["data"]["name"] for e in one.json()["items"]] == ["Bea"]
    assert {e["project_id"] for e in platform.json()["items"]} == {None}
    assert "user.login_failed" in [e["type"] for e in platform.json()["items"]]
    assert [e["data"]["name"] for e in agents.json()["items"]] == ["Ada", "Bea"]


async def test_the_audit_log_has_pages(muster: Muster, people: People) -> None:
    await tell(muster, people.project_id, *(run_created(f"run-{n}") for n in range(5)))
    params = {"type": "run.created", "limit": "2", "order": "asc"}

    second = (await people.admin.get("/admin/audit", params={**params, "offset": "2"})).json()
    first = (await people.admin.get("/admin/audit", params=params)).json()
    third = (
        await people.admin.get("/admin/audit", params={**params, "cursor": first["next_cursor"]})
    ).json()

    assert [e["data"]["run_id"] for e in second["items"]] == ["run-2", "run-3"]
    assert second["total"] == 5
    assert third["items"] == second["items"]


@pytest.mark.parametrize("path", ["/admin/audit", "/admin/audit/verify"])
async def test_the_audit_log_is_for_admins(people: People, path: str) -> None:
    answer = await people.owner.get(path)

    assert answer.status_code == 403
    assert answer.json()["error"] == "insufficient_role"


def test_the_reference_names_every_type_with_its_data() -> None:
    text = event_reference()

    assert {f"## `{name}`" for name in event_types()} <= set(text.splitlines())
    created = text.split("## `agent.created`\n")[1].split("\n## ")[0]
    assert "About: `agent`. Recorded in the chain of its project." in created
    assert "| `agent_id` | `str` |" in created
    assert "AgentCreated(" not in text
    failed = text.split("## `user.login_failed`\n")[1].split("\n## ")[0]
    assert "the chain of the platform" in failed
    assert "| `user_id` | `str or None` |" in failed
    assert "unknown e-mail" in failed
    assert "| `run.completed` | `task.completed` |" in text
