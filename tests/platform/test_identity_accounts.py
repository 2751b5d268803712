"""Making accounts: registration, the first superadmin, invitations, passwords."""

import asyncio
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import time_machine
from pydantic import SecretStr

from muster.entrypoints.assembly import Muster
from muster.kernel.settings import AdminSettings, Registration
from muster.platform.identity import ensure_superadmin
from tests.platform.recorded import recorded
from tests.support.accounts import PASSWORD, email_of
from tests.support.people import People

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]
GOOD = "many small pebbles"


async def register(
    client: httpx2.AsyncClient, email: str = "ada@muster.test", **fields: str
) -> httpx2.Response:
    body = {"email": email, "password": GOOD, "name": "Ada", **fields}
    return await client.post("/auth/register", json=body)


async def login(client: httpx2.AsyncClient, email: str, password: str = GOOD) -> httpx2.Response:
    return await client.post("/auth/login", json={"email": email, "password": password})


def set_registration(muster: Muster, mode: Registration) -> None:
    muster.credentials.registration = mode


async def test_first_account_is_superadmin_and_the_next_is_not(
    muster: Muster, anonymous: httpx2.AsyncClient
) -> None:
    set_registration(muster, "approval")
    first = await register(anonymous)
    second = await register(anonymous, "grace@muster.test")

    assert first.status_code == second.status_code == 201
    assert (first.json()["role"], first.json()["is_active"]) == ("superadmin", True)
    assert (second.json()["role"], second.json()["is_active"]) == ("user", False)
    assert (await login(anonymous, "ada@muster.test")).status_code == 200
    waiting = await login(anonymous, "grace@muster.test")
    assert (waiting.status_code, waiting.json()["error"]) == (403, "account_inactive")


async def test_of_many_first_registrations_one_is_superadmin(
    muster: Muster, anonymous: httpx2.AsyncClient
) -> None:
    calls = [register(anonymous, f"user{number}@muster.test") for number in range(8)]

    answers = await asyncio.gather(*calls)

    assert {answer.status_code for answer in answers} == {201}
    roles = sorted(answer.json()["role"] for answer in answers)
    assert roles == ["superadmin"] + ["user"] * 7
    assert len(await recorded(muster, "user.registered")) == 8


async def test_registration_makes_a_personal_project(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    body = {"email": "ADA@Muster.Test", "password": GOOD, "full_name": "Ada L."}
    answer = await anonymous.post("/auth/register", json=body)

    assert answer.status_code == 201
    user = answer.json()
    assert (user["email"], user["name"], user["full_name"]) == (
        "ada@muster.test",
        "Ada L.",
        "Ada L.",
    )
    token = (await login(anonymous, "ada@muster.test")).json()["access_token"]
    projects = await anonymous.get("/projects", headers={"Authorization": f"Bearer {token}"})
    [project] = projects.json()["items"]
    assert project["name"] == "Ada L.'s project"
    assert (project["is_personal"], project["role"]) == (True, "owner")
    assert project["id"] == user["active_project_id"] == user["personal_project_id"]
    [event] = await recorded(muster, "project.created", chain=project["id"])
    assert event.actor_id == user["id"]


async def test_email_is_taken_in_any_case(people: People, anonymous: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(
        register(anonymous), register(anonymous, "Ada@Muster.test"), register(anonymous)
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    loser = next(answer for answer in answers if answer.status_code == 409)
    assert loser.json()["error"] == "email_taken"


async def test_closed_registration(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    set_registration(muster, "closed")
    answer = await register(anonymous)
    assert (answer.status_code, answer.json()["error"]) == (403, "registration_closed")
    assert await recorded(muster, "user.registered") == []


@pytest.mark.parametrize(
    "password",
    ["short", "password123", "PassWord", "aaaaaaaaaa", "ada@muster.test", "Ada.Lovelace"],
)
async def test_weak_passwords(people: People, anonymous: httpx2.AsyncClient, password: str) -> None:
    email = "ada.lovelace@muster.test" if password == "Ada.Lovelace" else "ada@muster.test"
    answer = await register(anonymous, email, password=password)
    assert (answer.status_code, answer.json()["error"]) == (422, "weak_password")
    assert answer.json()["errors"][0]["field"] == "password"
    assert password not in answer.text.replace(email, "")


@pytest.mark.parametrize("email", ["ada", "ada@", "@muster.test", "a b@muster.test", "a@b@c", ""])
async def test_malformed_email(anonymous: httpx2.AsyncClient, email: str) -> None:
    answer = await register(anonymous, email)
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error")
    assert GOOD not in answer.text


async def test_password_is_kept_as_typed_and_composed_either_way(
    people: People, anonymous: httpx2.AsyncClient
) -> None:
    typed = "  el niño pequeño "
    assert (await register(anonymous, password=typed)).status_code == 201

    decomposed = unicodedata.normalize("NFD", typed)
    assert decomposed != typed
    assert (await login(anonymous, "ada@muster.test", decomposed)).status_code == 200
    assert (await login(anonymous, "ada@muster.test", typed.strip())).status_code == 401


async def test_ensure_superadmin_with_a_given_password(
    muster: Muster, anonymous: httpx2.AsyncClient
) -> None:
    admin = AdminSettings(email="Root@muster.local", password=SecretStr(GOOD))
    settings = muster.settings.model_copy(update={"admin": admin})

    assert await ensure_superadmin(muster.database, settings) is None
    assert await ensure_superadmin(muster.database, settings) is None

    body = (await login(anonymous, "root@muster.local")).json()
    assert body["user"]["role"] == "superadmin"
    [event] = await recorded(muster, "user.created")
    assert event.actor_kind == "system"
    assert (await register(anonymous)).json()["role"] == "user"


async def test_ensure_superadmin_makes_a_password_up_once(
    muster: Muster, anonymous: httpx2.AsyncClient
) -> None:
    calls = [ensure_superadmin(muster.database, muster.settings) for _ in range(3)]

    made = [password for password in await asyncio.gather(*calls) if password]

    assert len(made) == 1
    email = muster.settings.admin.email
    assert (await login(anonymous, email, made[0])).status_code == 200
    assert len(await recorded(muster, "user.created")) == 1


async def test_invitation(muster: Muster, people: People, anonymous: httpx2.AsyncClient) -> None:
    created = await people.admin.post(
        "/users", json={"email": "grace@muster.test", "full_name": "Grace"}
    )
    assert created.status_code == 201
    user, token = created.json(), created.json()["invitation_token"]
    assert user["has_password"] is False
    assert user["invitation_expires_at"].endswith("Z")
    assert (await login(anonymous, "grace@muster.test", "")).status_code == 422
    assert (await login(anonymous, "grace@muster.test", GOOD)).status_code == 401

    async def accept(**fields: str) -> httpx2.Response:
        body = {"token": token, "password": GOOD, **fields}
        return await anonymous.post("/auth/accept-invitation", json=body)

    weak = await accept(password="grace@muster.test")
    assert (weak.status_code, weak.json()["error"]) == (422, "weak_password")
    answers = await asyncio.gather(accept(), accept())
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    again = await accept(password="another good one")
    assert (again.status_code, again.json()["error"]) == (400, "invitation_invalid")
    assert (await accept(token="mst_invite_x")).status_code == 400
    assert (await login(anonymous, "grace@muster.test")).status_code == 200
    [event] = await recorded(muster, "user.password_changed")
    assert event.data == {"user_id": user["id"], "by": "invitation"}
    assert token not in str([event.data for event in await recorded(muster)])


async def test_invitation_expires(people: People, anonymous: httpx2.AsyncClient) -> None:
    created = await people.admin.post("/users", json={"email": "g@muster.test", "name": "Grace"})
    body = {"token": created.json()["invitation_token"], "password": GOOD}
    with time_machine.travel(datetime.now(UTC) + timedelta(days=8)):
        answer = await anonymous.post("/auth/accept-invitation", json=body)
    assert answer.status_code == 400


async def test_profile_update(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    answer = await people.owner.put(
        "/auth/me", json={"full_name": "Olive", "picture": "https://muster.test/olive.png"}
    )
    assert answer.status_code == 200
    assert answer.json()["name"] == "Olive"
    same = await people.owner.put("/auth/me", json={"name": "Olive"})
    assert same.json()["picture"] == "https://muster.test/olive.png"
    assert (await people.owner.put("/auth/me", json={"picture": None})).json()["picture"] is None
    [first, second] = await recorded(muster, "user.updated")
    assert first.data["changed"] == ["name", "picture"]
    assert second.data["changed"] == ["picture"]
    assert (await people.owner.put("/auth/me", json={"role": "admin"})).status_code == 422


async def test_new_email_needs_the_password(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    async def change(**fields: str) -> httpx2.Response:
        return await people.owner.put("/auth/me", json={"email": "new@muster.test", **fields})

    missing = await change()
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "current_password")
    wrong = await change(current_password="wrong wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (403, "wrong_password")
    taken = await change(email=email_of("admin"), current_password=PASSWORD)
    assert (taken.status_code, taken.json()["error"]) == (409, "email_taken")
    unchanged = await people.owner.put("/auth/me", json={"email": email_of("owner")})
    assert unchanged.status_code == 200
    assert (await change(current_password=PASSWORD)).json()["email"] == "new@muster.test"
    assert (await login(anonymous, "new@muster.test", PASSWORD)).status_code == 200
    assert (await login(anonymous, email_of("owner"), PASSWORD)).status_code == 401


async def test_change_password_ends_the_other_sessions(
    muster: Muster, people: People, connect: Connect, anonymous: httpx2.AsyncClient
) -> None:
    signed_in = await login(anonymous, email_of("owner"), PASSWORD)
    second = connect(Authorization=f"Bearer {signed_in.json()['access_token']}")

    async def change(current: str, new: str) -> httpx2.Response:
        body = {"current_password": current, "new_password": new}
        return await second.post("/auth/change-password", json=body)

    wrong = await change("wrong wrong", GOOD)
    assert (wrong.status_code, wrong.json()["error"]) == (403, "wrong_password")
    weak = await change(PASSWORD, "password")
    assert weak.json()["errors"][0]["field"] == "new_password"
    assert (await change(PASSWORD, GOOD)).status_code == 204

    assert (await second.get("/auth/me")).status_code == 200
    assert (await people.owner.get("/auth/me")).status_code == 401
    assert (await login(anonymous, email_of("owner"), GOOD)).status_code == 200
    assert (await login(anonymous, email_of("owner"), PASSWORD)).status_code == 401
    [event] = await recorded(muster, "user.password_changed")
    assert event.data["by"] == "user"


async def test_current_password_cannot_be_guessed_with_a_stolen_token(people: People) -> None:
    body = {"current_password": "wrong wrong", "new_password": GOOD}
    codes = [
        (await people.owner.post("/auth/change-password", json=body)).status_code for _ in range(4)
    ]
    assert codes == [403, 403, 403, 429]


async def test_of_two_password_changes_at_once_one_wins(
    people: People, anonymous: httpx2.AsyncClient
) -> None:
    async def change(new: str) -> int:
        body = {"current_password": PASSWORD, "new_password": new}
        return (await people.owner.post("/auth/change-password", json=body)).status_code

    assert sorted(await asyncio.gather(change(GOOD), change(GOOD + "!"))) == [204, 403]
