"""Projects: who sees them, who changes them, what goes with them."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest
from sqlalchemy import delete

from muster.entrypoints.assembly import Muster
from muster.kernel.ids import new_id
from muster.platform.projects import Membership
from tests.platform.recorded import recorded
from tests.support.accounts import email_of
from tests.support.people import People

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


async def me(client: httpx2.AsyncClient) -> dict[str, str]:
    found: dict[str, str] = (await client.get("/auth/me")).json()
    return found


async def test_a_project_through_its_life(muster: Muster, people: People) -> None:
    created = await people.viewer.post(
        "/projects", json={"name": "Atlas", "description": "Maps and more"}
    )
    assert created.status_code == 201
    project = created.json()
    assert (project["role"], project["is_personal"]) == ("owner", False)
    path = f"/projects/{project['id']}"
    assert (await people.viewer.get(path)).json() == project
    renamed = (await people.viewer.patch(path, json={"name": "Globe"})).json()
    assert (renamed["name"], renamed["description"]) == ("Globe", "Maps and more")
    emptied = (await people.viewer.put(path, json={"description": None})).json()
    assert (emptied["name"], emptied["description"]) == ("Globe", None)
    assert (await people.viewer.put(path, json={"name": "Globe"})).status_code == 200

    active = await people.viewer.post(f"{path}/activate")
    assert active.status_code == 200
    assert (active.json()["status"], active.json()["active_project_id"]) == ("ok", project["id"])
    assert (await people.viewer.post(f"{path}/activate")).status_code == 200
    assert (await me(people.viewer))["project_id"] == project["id"]

    assert (await people.viewer.delete(path)).status_code == 204
    assert code(await people.viewer.get(path)) == (404, "project_not_found")
    after = await me(people.viewer)
    assert after["project_id"] == after["active_project_id"] == after["personal_project_id"]
    events = await recorded(muster, chain=project["id"])
    assert [event.type for event in events] == [
        "project.created",
        "project.updated",
        "project.updated",
        "project.activated",
        "project.deleted",
    ]
    assert {event.actor_id for event in events} == {after["id"]}


async def test_list_shows_own_projects_with_the_role(people: People) -> None:
    await people.viewer.post("/projects", json={"name": "100% Atlas"})

    page = (await people.viewer.get("/projects")).json()
    assert [(p["name"], p["role"]) for p in page["items"]] == [
        ("100% Atlas", "owner"),
        ("Viewer's project", "owner"),
        ("Shared", "viewer"),
    ]
    assert page["total"] == 3

    async def names(**params: str) -> list[str]:
        answer = await people.viewer.get("/projects", params=params)
        return [project["name"] for project in answer.json()["items"]]

    assert await names(search="ATLAS") == ["100% Atlas"]
    assert await names(search="%") == ["100% Atlas"]
    assert await names(limit="1", offset="1") == ["Viewer's project"]


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": " "}, {"name": "x" * 121}, {"name": 1}]
)
async def test_malformed_project(people: People, body: dict[str, object]) -> None:
    assert (await people.owner.post("/projects", json=body)).status_code == 422
    assert (
        await people.owner.post("/projects", json={"name": "A", "db_host": "b"})
    ).status_code == 422


async def test_outsider_and_unknown_project_read_the_same(people: People) -> None:
    def anonymised(answer: httpx2.Response) -> dict[str, object]:
        return {**answer.json(), "request_id": None}

    for client in (people.outsider, people.admin, people.superadmin):
        foreign = people.project_id if client is people.outsider else people.other_project_id
        answers = []
        for project_id in (foreign, new_id()):
            path = f"/projects/{project_id}"
            answers.append(
                [
                    await client.get(path),
                    await client.put(path, json={"name": "Mine"}),
                    await client.patch(path, json={"name": "Mine"}),
                    await client.delete(path),
                    await client.post(f"{path}/activate"),
                ]
            )
        for known, unknown in zip(*answers, strict=True):
            assert code(known) == (404, "project_not_found")
            assert anonymised(known) == anonymised(unknown)
    assert (await people.owner.get(f"/projects/{people.project_id}")).json()["name"] == "Shared"


async def test_only_owners_change_a_project(people: People) -> None:
    path = f"/projects/{people.project_id}"
    for client in (people.viewer, people.operator, people.editor):
        assert (await client.get(path)).status_code == 200
        for answer in (
            await client.put(path, json={"name": "Mine"}),
            await client.delete(path),
            await client.post(f"{path}/members", json={"user_id": "x", "role": "viewer"}),
            await client.put(f"{path}/members/x", json={"role": "viewer"}),
            await client.delete(f"{path}/members/x"),
        ):
            assert code(answer) == (403, "insufficient_role")
        assert (await client.get(f"{path}/members")).status_code == 200


async def test_personal_project_stays_with_its_user(people: People) -> None:
    viewer = await me(people.viewer)
    path = f"/projects/{viewer['personal_project_id']}"
    assert code(await people.viewer.delete(path)) == (409, "personal_project")
    guest = {"email": email_of("editor"), "role": "owner"}
    assert (await people.viewer.post(f"{path}/members", json=guest)).status_code == 201
    member = f"{path}/members/{viewer['id']}"
    for answer in (
        await people.editor.delete(member),
        await people.editor.put(member, json={"role": "editor"}),
        await people.viewer.put(member, json={"role": "editor"}),
    ):
        assert code(answer) == (409, "personal_project")
    same = await people.viewer.put(member, json={"role": "owner"})
    assert same.status_code == 200


async def test_members_through_their_life(muster: Muster, people: People) -> None:
    outsider = await me(people.outsider)
    members = f"/projects/{people.project_id}/members"

    added = await people.owner.post(members, json={"user_id": outsider["id"], "role": "operator"})
    assert added.status_code == 201
    assert added.json()["id"] == added.json()["user_id"] == outsider["id"]
    assert (added.json()["role"], added.json()["email"]) == ("operator", email_of("outsider"))
    again = await people.owner.post(
        members, json={"email": email_of("outsider").upper(), "role": "viewer"}
    )
    assert code(again) == (409, "already_member")
    one = f"{members}/{outsider['id']}"
    changed = await people.owner.put(one, json={"role": "editor"})
    assert changed.json()["role"] == "editor"
    assert (await people.owner.put(one, json={"role": "editor"})).status_code == 200

    assert (await people.outsider.post(f"/projects/{people.project_id}/activate")).is_success
    assert (await me(people.outsider))["project_role"] == "editor"
    assert (await people.owner.delete(one)).status_code == 204
    after = await me(people.outsider)
    assert after["active_project_id"] == after["project_id"] == outsider["personal_project_id"]
    gone = await people.outsider.get(f"/projects/{people.project_id}")
    assert code(gone) == (404, "project_not_found")
    for answer in (
        await people.owner.delete(one),
        await people.owner.put(one, json={"role": "owner"}),
    ):
        assert code(answer) == (404, "member_not_found")
    events = await recorded(muster, chain=people.project_id)
    assert [event.type for event in events] == [
        "project.member_added",
        "project.member_updated",
        "project.activated",
        "project.member_removed",
    ]
    assert events[1].data["previous_role"] == "operator"
    assert all(event.subject_id == outsider["id"] for event in (events[0], events[1], events[3]))


async def test_members_are_listed_by_name(people: People) -> None:
    page = (await people.viewer.get(f"/projects/{people.project_id}/members")).json()
    assert [(m["name"], m["role"]) for m in page["items"]] == [
        ("Admin", "owner"),
        ("Editor", "editor"),
        ("Operator", "operator"),
        ("Owner", "owner"),
        ("Superadmin", "owner"),
        ("Viewer", "viewer"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"role": "viewer"},
        {"user_id": "a", "email": "a@b.c", "role": "viewer"},
        {"user_id": "a", "role": "admin"},
        {"user_id": "a", "role": "member"},
        {"user_id": "a"},
    ],
)
async def test_malformed_member(people: People, body: dict[str, str]) -> None:
    answer = await people.owner.post(f"/projects/{people.project_id}/members", json=body)
    assert code(answer) == (422, "validation_error")


async def test_unknown_users_cannot_be_added(people: People) -> None:
    members = f"/projects/{people.project_id}/members"
    for who in ({"user_id": new_id()}, {"email": "nobody@muster.test"}):
        answer = await people.owner.post(members, json={**who, "role": "viewer"})
        assert code(answer) == (404, "user_not_found")


async def test_admin_manages_the_members_of_any_project(muster: Muster, people: People) -> None:
    members = f"/projects/{people.other_project_id}/members"
    admin = await me(people.admin)
    assert [m["name"] for m in (await people.admin.get(members)).json()["items"]] == ["Outsider"]

    joined = await people.admin.post(members, json={"user_id": admin["id"], "role": "viewer"})
    assert joined.status_code == 201
    assert (await people.admin.get(f"/projects/{people.other_project_id}")).status_code == 200
    own = f"{members}/{admin['id']}"
    assert (await people.admin.put(own, json={"role": "owner"})).json()["role"] == "owner"
    assert (await people.admin.delete(own)).status_code == 204
    [event] = await recorded(muster, "project.member_added", chain=people.other_project_id)
    assert event.actor_id == admin["id"]

    unknown = f"/projects/{new_id()}/members"
    for answer in (
        await people.admin.get(unknown),
        await people.admin.post(unknown, json={"user_id": admin["id"], "role": "viewer"}),
        await people.admin.put(f"{unknown}/{admin['id']}", json={"role": "viewer"}),
        await people.admin.delete(f"{unknown}/{admin['id']}"),
    ):
        assert code(answer) == (404, "project_not_found")
    assert (await people.outsider.get(unknown)).status_code == 404


async def test_last_owner_stays(people: People) -> None:
    outsider = await me(people.outsider)
    one = f"/projects/{people.other_project_id}/members/{outsider['id']}"
    for client in (people.outsider, people.admin):
        assert code(await client.delete(one)) == (409, "last_owner")
        assert code(await client.put(one, json={"role": "editor"})) == (409, "last_owner")


@pytest.mark.parametrize("way", ["demote", "remove"])
async def test_owners_who_turn_on_each_other_at_once_leave_one(people: People, way: str) -> None:
    outsider, viewer = await me(people.outsider), await me(people.viewer)
    members = f"/projects/{people.other_project_id}/members"
    await people.outsider.post(members, json={"user_id": viewer["id"], "role": "owner"})

    async def turn(client: httpx2.AsyncClient, other: str) -> int:
        if way == "remove":
            return (await client.delete(f"{members}/{other}")).status_code
        return (await client.put(f"{members}/{other}", json={"role": "viewer"})).status_code

    codes = await asyncio.gather(
        turn(people.outsider, viewer["id"]), turn(people.viewer, outsider["id"])
    )

    assert sum(status in {200, 204} for status in codes) == 1
    assert set(codes) <= {200, 204, 403, 404, 409}
    left = (await people.admin.get(members)).json()["items"]
    assert [m["role"] for m in left].count("owner") == 1


async def test_deleting_a_project_sends_its_members_home(muster: Muster, people: People) -> None:
    assert (await people.owner.delete(f"/projects/{people.project_id}")).status_code == 204
    for client in (people.owner, people.viewer):
        found = await me(client)
        assert found["project_id"] == found["active_project_id"] == found["personal_project_id"]
    assert (await recorded(muster, chain=people.project_id))[-1].type == "project.deleted"


async def test_membership_that_vanished_falls_back_to_the_personal_project(
    muster: Muster, people: People
) -> None:
    viewer = await me(people.viewer)
    async with muster.database.write() as session:
        await session.execute(
            delete(Membership).where(
                Membership.user_id == viewer["id"], Membership.project_id == people.project_id
            )
        )
    assert (await me(people.viewer))["project_id"] == viewer["personal_project_id"]


async def test_creating_a_project_once_with_one_key(people: People) -> None:
    async def create() -> httpx2.Response:
        headers = {"Idempotency-Key": "once"}
        return await people.owner.post("/projects", json={"name": "Atlas"}, headers=headers)

    first, second = await create(), await create()
    assert first.json() == second.json()
    found = (await people.owner.get("/projects", params={"search": "atlas"})).json()
    assert found["total"] == 1


async def test_admin_without_membership_manages_members_with_an_idempotency_key(
    people: People,
) -> None:
    admin = await me(people.admin)
    answer = await people.admin.post(
        f"/projects/{people.other_project_id}/members",
        json={"user_id": admin["id"], "role": "viewer"},
        headers={"Idempotency-Key": "once"},
    )
    assert answer.status_code == 201
