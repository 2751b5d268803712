"""API keys: what they may do, where, for how long."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx2
import pytest
import time_machine
from sqlalchemy import select

from muster.entrypoints.assembly import Muster
from muster.kernel.ids import new_id
from muster.platform.access import AGENT_KEY_SCOPES
from muster.platform.identity import ApiKey
from tests.platform.recorded import recorded
from tests.support.accounts import email_of
from tests.support.people import People

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


async def make(client: httpx2.AsyncClient, path: str = "/security", **fields: object) -> str:
    answer = await client.post(f"{path}/api-keys", json={"name": "ci", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


@pytest.mark.parametrize(("path", "kind"), [("/auth", "agent"), ("/security", "user")])
async def test_one_store_under_two_paths(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient, path: str, kind: str
) -> None:
    answer = await people.owner.post(f"{path}/api-keys", json={"name": "ci"})
    assert answer.status_code == 201
    made = answer.json()
    assert made["key"] == made["api_key"]
    assert made["key"].startswith(f"mst_{kind}_")
    assert len(made["key"]) == len(f"mst_{kind}_") + 43
    assert (made["kind"], made["project_id"], made["revoked"]) == (kind, people.project_id, False)

    for other in ("/auth/api-keys", "/security/api-keys"):
        listed = (await people.owner.get(other)).json()
        assert [item["id"] for item in listed["items"]] == [made["id"]]
        assert made["key"] not in str(listed)
        assert made["key"].startswith(listed["items"][0]["prefix"])
    assert (await people.editor.get("/auth/api-keys")).json()["total"] == 0
    async with muster.database.read() as session:
        stored = await session.scalar(select(ApiKey))
    assert stored is not None
    assert stored.hash == sha256(made["key"].encode()).hexdigest()
    events = await recorded(muster, "api_key.created")
    assert events[0].data["bound_project_id"] == people.project_id
    assert made["key"] not in str(events[0].data)
    assert (await anonymous.get(f"{path}/api-keys")).status_code == 401


async def test_user_key_acts_as_its_user_until_it_is_revoked(
    muster: Muster, people: People, connect: Connect
) -> None:
    key = await make(people.owner)
    [listed] = (await people.owner.get("/security/api-keys")).json()["items"]
    for client in (connect(Authorization=f"Bearer {key}"), connect(**{"X-API-Key": key})):
        me = (await client.get("/auth/me")).json()
        assert (me["email"], me["project_id"]) == (email_of("owner"), people.project_id)
        assert "projects:write" in me["scopes"]

    other = await people.editor.delete(f"/security/api-keys/{listed['id']}")
    assert code(other) == (404, "api_key_not_found")
    for path in ("/auth", "/security"):
        assert (await people.owner.delete(f"{path}/api-keys/{listed['id']}")).status_code == 204
    assert code(await client.get("/auth/me")) == (401, "invalid_token")
    [after] = (await people.owner.get("/security/api-keys")).json()["items"]
    assert after["revoked"] is after["is_revoked"] is True
    [event] = await recorded(muster, "api_key.revoked")
    assert event.subject_id == listed["id"]


async def test_agent_key_can_do_nothing_of_its_user(people: People, connect: Connect) -> None:
    agent = connect(Authorization=f"Bearer {await make(people.owner, '/auth')}")
    for path in ("/auth/me", "/projects", f"/projects/{people.project_id}", "/auth/api-keys"):
        assert code(await agent.get(path)) == (403, "insufficient_role")
    assert (await agent.post("/projects", json={"name": "Mine"})).status_code == 403
    assert (await agent.post("/auth/logout")).status_code == 403


async def test_who_cannot_register_agents_makes_no_agent_key(people: People) -> None:
    for client in (people.viewer, people.operator):
        answer = await client.post("/auth/api-keys", json={"name": "ci"})
        assert code(answer) == (403, "scope_not_held")
    fixed = {"name": "ci", "kind": "agent", "scopes": ["runs:read"]}
    assert code(await people.owner.post("/security/api-keys", json=fixed)) == (
        422,
        "validation_error",
    )
    same = {"name": "ci", "kind": "agent", "scopes": sorted(AGENT_KEY_SCOPES)}
    assert (await people.editor.post("/security/api-keys", json=same)).status_code == 201


async def test_scopes_narrow_a_key(people: People, connect: Connect) -> None:
    key = await make(people.owner, scopes=["profile:read", "projects:read", "api-keys:write"])
    narrow = connect(Authorization=f"Bearer {key}")
    assert (await narrow.get(f"/projects/{people.project_id}")).status_code == 200
    renamed = await narrow.put(f"/projects/{people.project_id}", json={"name": "X"})
    assert code(renamed) == (403, "insufficient_role")

    wider = await narrow.post("/security/api-keys", json={"name": "n", "scopes": ["runs:read"]})
    assert code(wider) == (403, "scope_not_held")
    assert wider.json()["details"] == {"missing": ["runs:read"]}
    child = await narrow.post("/security/api-keys", json={"name": "n"})
    assert child.json()["scopes"] == ["api-keys:write", "profile:read", "projects:read"]
    agent = await narrow.post("/auth/api-keys", json={"name": "n"})
    assert code(agent) == (403, "scope_not_held")

    too_much = {"name": "n", "scopes": ["projects:write"]}
    assert (await people.viewer.post("/security/api-keys", json=too_much)).status_code == 403
    for bad in ([], ["everything"]):
        answer = await people.owner.post("/security/api-keys", json={"name": "n", "scopes": bad})
        assert answer.status_code == 422


async def test_key_loses_what_its_user_loses(people: People, connect: Connect) -> None:
    client = connect(Authorization=f"Bearer {await make(people.editor)}")
    editor = (await people.editor.get("/auth/me")).json()["id"]
    member = f"/projects/{people.project_id}/members/{editor}"
    assert "agents:write" in (await client.get("/auth/me")).json()["scopes"]
    await people.owner.put(member, json={"role": "viewer"})
    assert "agents:write" not in (await client.get("/auth/me")).json()["scopes"]
    await people.admin.put(f"/users/{editor}", json={"is_active": False})
    assert code(await client.get("/auth/me")) == (401, "account_inactive")
    await people.admin.put(f"/users/{editor}", json={"is_active": True})
    assert (await client.get("/auth/me")).status_code == 200
    await people.owner.delete(member)
    assert code(await client.get("/auth/me")) == (401, "invalid_token")


async def test_key_is_bound_to_its_project(people: People, connect: Connect) -> None:
    personal = (await people.owner.get("/auth/me")).json()["personal_project_id"]
    bound = connect(Authorization=f"Bearer {await make(people.owner, project_id=personal)}")
    assert (await bound.get("/auth/me")).json()["project_id"] == personal
    same = await bound.get("/auth/me", headers={"X-Project-Id": personal})
    assert same.status_code == 200
    elsewhere = await bound.get("/auth/me", headers={"X-Project-Id": people.project_id})
    assert code(elsewhere) == (404, "project_not_found")
    assert (await bound.get(f"/projects/{people.project_id}")).status_code == 404
    assert [p["id"] for p in (await bound.get("/projects")).json()["items"]] == [personal]

    for client, project in (
        (people.owner, people.other_project_id),
        (people.owner, new_id()),
        (bound, people.project_id),
    ):
        body = {"name": "n", "project_id": project}
        answer = await client.post("/security/api-keys", json=body)
        assert code(answer) == (404, "project_not_found")


async def test_key_goes_with_its_project(people: People, connect: Connect) -> None:
    project = (await people.owner.post("/projects", json={"name": "Brief"})).json()["id"]
    client = connect(Authorization=f"Bearer {await make(people.owner, project_id=project)}")
    assert (await client.get("/auth/me")).status_code == 200
    assert (await people.owner.delete(f"/projects/{project}")).status_code == 204
    assert code(await client.get("/auth/me")) == (401, "invalid_token")


async def test_key_expires(people: People, connect: Connect) -> None:
    now = datetime.now(UTC)
    past = {"name": "n", "expires_at": (now - timedelta(hours=1)).isoformat()}
    assert (await people.owner.post("/security/api-keys", json=past)).status_code == 422
    soon = (now + timedelta(hours=1)).isoformat()
    client = connect(Authorization=f"Bearer {await make(people.owner, expires_at=soon)}")
    assert (await client.get("/auth/me")).status_code == 200
    with time_machine.travel(now + timedelta(hours=2)):
        assert code(await client.get("/auth/me")) == (401, "token_expired")


async def test_last_use_is_noted_about_once_a_minute(
    muster: Muster, people: People, connect: Connect
) -> None:
    client = connect(Authorization=f"Bearer {await make(people.owner)}")

    async def used() -> datetime:
        await muster.credentials.key_usage.aclose()
        [item] = (await people.owner.get("/security/api-keys")).json()["items"]
        return datetime.fromisoformat(item["last_used_at"])

    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False) as clock:
        await client.get("/auth/me")
        assert await used() == start
        clock.shift(timedelta(seconds=30))
        await client.get("/auth/me")
        assert await used() == start
        clock.shift(timedelta(seconds=31))
        await client.get("/auth/me")
        assert await used() == start + timedelta(seconds=61)


async def test_key_has_no_session_to_end(people: People, connect: Connect) -> None:
    client = connect(Authorization=f"Bearer {await make(people.owner)}")
    assert code(await client.post("/auth/logout")) == (409, "session_required")


async def test_new_key_is_not_kept_for_replay(people: People) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"name": "ci"}
    first = await people.owner.post("/security/api-keys", json=body, headers=headers)
    second = await people.owner.post("/security/api-keys", json=body, headers=headers)
    assert first.json()["key"] != second.json()["key"]
    assert "idempotency-replayed" not in second.headers
