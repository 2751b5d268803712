"""Administration of accounts, under both of its paths."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel.ids import new_id
from tests.platform.recorded import recorded
from tests.support.accounts import PASSWORD, email_of
from tests.support.people import People

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]
GOOD = "many small pebbles"


async def id_of(client: httpx2.AsyncClient) -> str:
    return str((await client.get("/auth/me")).json()["id"])


async def make(admin: httpx2.AsyncClient, **fields: object) -> httpx2.Response:
    body = {"email": "grace@muster.test", "name": "Grace", "password": GOOD, **fields}
    return await admin.post("/users", json=body)


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize("path", ["/users", "/admin/users"])
async def test_an_account_through_its_life(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient, connect: Connect, path: str
) -> None:
    admin = people.admin
    body = {"email": "Grace@muster.test", "full_name": "Grace", "password": GOOD, "role": "user"}
    created = await admin.post(path, json=body)
    assert created.status_code == 201
    user = created.json()
    assert (user["email"], user["is_admin"], user["invitation_token"]) == (
        "grace@muster.test",
        False,
        None,
    )
    one = f"{path}/{user['id']}"
    assert (await admin.get(one)).json()["name"] == "Grace"
    assert (await admin.put(one, json={"name": "Grace H."})).json()["name"] == "Grace H."
    patched = await admin.patch(one, json={"picture": "http://muster.test/g.png"})
    assert (patched.json()["name"], patched.json()["full_name"]) == ("Grace H.", "Grace H.")

    login = {"email": "grace@muster.test", "password": GOOD}
    token = (await anonymous.post("/auth/login", json=login)).json()["access_token"]
    grace = connect(Authorization=f"Bearer {token}")
    assert (await grace.get("/auth/me")).status_code == 200
    off = await admin.patch(one, json={"is_active": False})
    assert off.json()["is_active"] is False
    assert (await grace.get("/auth/me")).status_code == 401
    assert (await admin.post(f"{one}/activate")).json()["is_active"] is True
    assert (await admin.post(f"{one}/activate")).status_code == 200
    # The old session stays ended.
    assert (await grace.get("/auth/me")).json()["error"] == "invalid_token"

    assert (await admin.delete(one)).status_code == 204
    for answer in (await admin.get(one), await admin.delete(one), await admin.put(one, json={})):
        assert code(answer) == (404, "user_not_found")
    assert (await anonymous.post("/auth/login", json=login)).status_code == 401
    assert (await make(admin)).status_code == 201
    types = [e.type for e in await recorded(muster) if e.subject_id == user["id"]]
    assert types == [
        "user.created",
        "user.updated",
        "user.updated",
        "user.logged_in",
        "user.deactivated",
        "user.activated",
        "user.deleted",
    ]


async def test_list_filters_and_pages(people: People) -> None:
    async def emails(**params: object) -> list[str]:
        answer = await people.admin.get("/users", params={k: str(v) for k, v in params.items()})
        assert answer.status_code == 200
        return [item["email"].split("@")[0] for item in answer.json()["items"]]

    assert await emails() == [
        "outsider",
        "viewer",
        "operator",
        "editor",
        "owner",
        "admin",
        "superadmin",
    ]
    assert await emails(search="ADMIN") == ["admin", "superadmin"]
    assert await emails(search="%") == []
    assert await emails(role="admin") == ["admin"]
    assert await emails(is_active="false") == []
    assert await emails(limit=2, offset=1) == ["viewer", "operator"]
    page = (await people.admin.get("/admin/users", params={"limit": 2})).json()
    assert (page["total"], page["has_more"]) == (7, True)
    assert (await people.admin.get("/users", params={"active": "true"})).status_code == 422


@pytest.mark.parametrize("path", ["/users", "/admin/users"])
async def test_users_are_for_admins(
    people: People, anonymous: httpx2.AsyncClient, path: str
) -> None:
    assert (await anonymous.get(path)).status_code == 401
    one = f"{path}/{await id_of(people.viewer)}"
    for answer in (
        await people.owner.get(path),
        await people.owner.post(path, json={"email": "a@b.c", "name": "A"}),
        await people.owner.get(one),
        await people.owner.put(one, json={}),
        await people.owner.patch(one, json={}),
        await people.owner.delete(one),
        await people.owner.post(f"{one}/activate"),
    ):
        assert code(answer) == (403, "insufficient_role")


async def test_unknown_user(people: People) -> None:
    for user_id in (new_id(), "x", "%00"):
        answer = await people.admin.get(f"/users/{user_id}")
        assert answer.status_code in {404, 422}
    answer = await people.admin.post(f"/users/{new_id()}/activate")
    assert code(answer) == (404, "user_not_found")


async def test_duplicate_email_and_weak_password(people: People) -> None:
    assert code(await make(people.admin, email=email_of("viewer"))) == (409, "email_taken")
    assert code(await make(people.admin, password="short")) == (422, "weak_password")
    viewer = f"/users/{await id_of(people.viewer)}"
    taken = await people.admin.patch(viewer, json={"email": email_of("owner")})
    assert code(taken) == (409, "email_taken")
    weak = await people.admin.patch(viewer, json={"password": email_of("viewer")})
    assert code(weak) == (422, "weak_password")


async def test_is_admin_is_a_short_form_of_the_role(people: People) -> None:
    created = (await make(people.superadmin, is_admin=True)).json()
    assert (created["role"], created["is_admin"]) == ("admin", True)
    one = f"/users/{created['id']}"
    demoted = await people.superadmin.put(one, json={"is_admin": False})
    assert demoted.json()["role"] == "user"
    both = await people.superadmin.put(one, json={"is_admin": False, "role": "admin"})
    assert code(both) == (422, "validation_error")
    agreeing = await people.superadmin.put(one, json={"is_admin": True, "role": "superadmin"})
    assert agreeing.json()["role"] == "superadmin"
    assert (await people.superadmin.put(one, json={"is_admin": "perhaps"})).status_code == 422
    assert (await people.superadmin.put(one, json=[])).status_code == 422


async def test_only_superadmins_deal_with_admins(people: People) -> None:
    forbidden = (403, "role_assignment_forbidden")
    for role in ("admin", "superadmin"):
        assert code(await make(people.admin, role=role)) == forbidden
    viewer = f"/users/{await id_of(people.viewer)}"
    assert code(await people.admin.put(viewer, json={"role": "admin"})) == forbidden
    boss = f"/users/{await id_of(people.superadmin)}"
    for change in ({"name": "X"}, {"password": GOOD}, {"is_active": False}, {"role": "user"}):
        assert code(await people.admin.put(boss, json=change)) == forbidden
    assert code(await people.admin.delete(boss)) == forbidden
    assert code(await people.admin.post(f"{boss}/activate")) == forbidden
    own = f"/users/{await id_of(people.admin)}"
    assert code(await people.admin.put(own, json={"role": "superadmin"})) == forbidden
    assert code(await people.admin.put(own, json={"role": "user"})) == forbidden
    assert (await people.admin.put(own, json={"name": "Adele"})).json()["name"] == "Adele"


async def test_role_counts_from_the_next_request(muster: Muster, people: People) -> None:
    one = f"/users/{await id_of(people.viewer)}"
    assert (await people.viewer.get("/users")).status_code == 403
    assert (await people.superadmin.put(one, json={"role": "admin"})).status_code == 200
    assert (await people.viewer.get("/users")).status_code == 200
    assert (await people.superadmin.put(one, json={"role": "user"})).status_code == 200
    assert (await people.viewer.get("/users")).status_code == 403
    first, _ = await recorded(muster, "user.updated")
    assert (first.data["changed"], first.data["role"]) == (["role"], "admin")


async def test_own_account_is_protected(people: People) -> None:
    own = f"/users/{await id_of(people.superadmin)}"
    for change in ({"is_active": False}, {"password": GOOD}):
        assert code(await people.superadmin.put(own, json=change)) == (400, "own_account")
    assert code(await people.superadmin.delete(own)) == (400, "own_account")


async def test_last_superadmin_stays(people: People) -> None:
    own = f"/users/{await id_of(people.superadmin)}"
    refused = await people.superadmin.put(own, json={"role": "admin"})
    assert code(refused) == (409, "last_superadmin")

    second = (await make(people.superadmin, role="superadmin")).json()["id"]
    off = await people.superadmin.put(f"/users/{second}", json={"is_active": False})
    assert off.status_code == 200
    assert code(await people.superadmin.put(own, json={"role": "user"})) == (
        409,
        "last_superadmin",
    )


async def test_superadmins_who_demote_each_other_at_once_leave_one(
    people: People, anonymous: httpx2.AsyncClient, connect: Connect
) -> None:
    second = (await make(people.superadmin, role="superadmin")).json()["id"]
    login = {"email": "grace@muster.test", "password": GOOD}
    token = (await anonymous.post("/auth/login", json=login)).json()["access_token"]
    other = connect(Authorization=f"Bearer {token}")
    first = await id_of(people.superadmin)

    answers = await asyncio.gather(
        people.superadmin.put(f"/users/{second}", json={"role": "user"}),
        other.put(f"/users/{first}", json={"role": "user"}),
    )

    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert {answer.status_code for answer in answers} <= {200, 403, 409}


async def test_password_reset_by_an_admin_ends_the_sessions(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    one = f"/users/{await id_of(people.viewer)}"
    assert (await people.admin.put(one, json={"password": GOOD})).status_code == 200
    assert (await people.viewer.get("/auth/me")).status_code == 401
    login = {"email": email_of("viewer"), "password": GOOD}
    assert (await anonymous.post("/auth/login", json=login)).status_code == 200
    [event] = await recorded(muster, "user.password_changed")
    assert event.data["by"] == "admin"
    [ended] = await recorded(muster, "session.revoked")
    assert ended.data["reason"] == "password_changed"


async def test_last_owner_of_a_project_cannot_be_deleted(muster: Muster, people: People) -> None:
    outsider = await id_of(people.outsider)

    refused = await people.admin.delete(f"/users/{outsider}")

    assert code(refused) == (409, "last_owner")
    assert refused.json()["details"]["projects"] == [
        {"id": people.other_project_id, "name": "Other"}
    ]
    members = f"/projects/{people.other_project_id}/members"
    heir = {"user_id": await id_of(people.viewer), "role": "owner"}
    assert (await people.outsider.post(members, json=heir)).status_code == 201
    key = (await people.outsider.post("/security/api-keys", json={"name": "mine"})).json()["key"]
    personal = (await people.outsider.get("/auth/me")).json()["personal_project_id"]
    assert (await people.admin.delete(f"/users/{outsider}")).status_code == 204

    assert (await people.outsider.get("/auth/me")).status_code == 401
    with_key = await people.outsider.get("/auth/me", headers={"Authorization": f"Bearer {key}"})
    assert with_key.status_code == 401
    left = (await people.viewer.get(members)).json()["items"]
    assert [member["name"] for member in left] == ["Viewer"]
    assert len(await recorded(muster, "project.deleted", chain=personal)) == 1
    [removed] = await recorded(muster, "project.member_removed", chain=people.other_project_id)
    assert removed.data["reason"] == "user_deleted"


async def test_shared_personal_project_keeps_its_user(people: People) -> None:
    viewer = (await people.viewer.get("/auth/me")).json()
    members = f"/projects/{viewer['personal_project_id']}/members"
    guest = {"email": email_of("editor"), "role": "editor"}
    assert (await people.viewer.post(members, json=guest)).status_code == 201

    refused = await people.admin.delete(f"/users/{viewer['id']}")
    assert code(refused) == (409, "last_owner")

    editor = await id_of(people.editor)
    assert (await people.viewer.delete(f"{members}/{editor}")).status_code == 204
    assert (await people.admin.delete(f"/users/{viewer['id']}")).status_code == 204


async def test_secrets_are_not_kept_for_replay(people: People) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"email": "grace@muster.test", "name": "Grace"}
    first = await people.admin.post("/users", json=body, headers=headers)
    assert first.json()["invitation_token"]
    second = await people.admin.post("/users", json=body, headers=headers)
    assert code(second) == (409, "email_taken")
    assert PASSWORD not in first.text
