"""Signing in and out: passwords, sessions, refresh tokens, lockout."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import time_machine
from sqlalchemy import func, select, update

from muster.entrypoints.assembly import Muster
from muster.platform.identity import User, UserSession
from muster.platform.identity.models import SignInFailures
from tests.platform.recorded import recorded
from tests.support.accounts import PASSWORD, email_of
from tests.support.people import People

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


async def sign_in(
    client: httpx2.AsyncClient, name: str, password: str = PASSWORD
) -> httpx2.Response:
    body = {"email": email_of(name), "password": password}
    return await client.post("/auth/login", json=body)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_login_answers_tokens_that_work(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    answer = await anonymous.post(
        "/auth/login",
        json={"email": email_of("owner").upper(), "password": PASSWORD},
        headers={"User-Agent": "a browser " + "x" * 400},
    )

    assert answer.status_code == 200
    body = answer.json()
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 3600
    assert body["user"]["email"] == email_of("owner")
    assert "password" not in str({k for k in body["user"] if k != "has_password"})
    me = await anonymous.get("/auth/me", headers=bearer(body["access_token"]))
    assert me.json()["id"] == body["user"]["id"]
    assert me.json()["project_id"] == people.project_id
    assert me.json()["project_role"] == "owner"
    assert "projects:write" in me.json()["scopes"]
    [event] = await recorded(muster, "user.logged_in")
    assert event.subject_id == event.actor_id == body["user"]["id"]
    async with muster.database.read() as session:
        opened = await session.get_one(UserSession, event.data["session_id"])
    assert opened.user_agent is not None
    assert len(opened.user_agent) == 255


@pytest.mark.parametrize("name", ["owner", "nobody"])
async def test_wrong_password_and_unknown_email_read_the_same(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient, name: str
) -> None:
    answer = await sign_in(anonymous, name, "not the password")

    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_credentials"
    assert answer.json()["message"] == "The e-mail or the password is wrong"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    [event] = await recorded(muster, "user.login_failed")
    assert event.data["reason"] == ("wrong_password" if name == "owner" else "unknown_account")
    assert email_of("nobody") not in str(event.data)


async def test_inactive_account_is_told_so_only_with_the_right_password(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    async with muster.database.write() as session:
        await session.execute(
            update(User).where(User.email == email_of("viewer")).values(is_active=False)
        )

    right = await sign_in(anonymous, "viewer")
    wrong = await sign_in(anonymous, "viewer", "not the password")

    assert (right.status_code, right.json()["error"]) == (403, "account_inactive")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_credentials")
    with_token = await people.viewer.get("/auth/me")
    assert (with_token.status_code, with_token.json()["error"]) == (401, "account_inactive")


@pytest.mark.parametrize("name", ["owner", "nobody"])
async def test_lockout_holds_for_real_and_made_up_accounts_and_ends(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient, name: str
) -> None:
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False) as clock:
        for _ in range(3):
            assert (await sign_in(anonymous, name, "wrong wrong")).status_code == 401

        locked = await sign_in(anonymous, name)
        assert (locked.status_code, locked.json()["error"]) == (429, "account_locked")
        assert locked.headers["Retry-After"] == "60"

        clock.move_to(start + timedelta(seconds=61))
        after = await sign_in(anonymous, name)
    assert after.status_code == (200 if name == "owner" else 401)
    [event] = await recorded(muster, "user.locked")
    assert event.data["failures"] == 3
    assert (event.subject_id is None) == (name == "nobody")


async def test_success_and_time_forget_failures(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False) as clock:
        for _ in range(3):
            assert (await sign_in(anonymous, "owner", "wrong wrong")).status_code == 401
            assert (await sign_in(anonymous, "editor", "wrong wrong")).status_code == 401
            assert (await sign_in(anonymous, "owner")).status_code in {200, 429}
            clock.shift(timedelta(seconds=40))
        assert len(await recorded(muster, "user.locked")) == 1
        clock.shift(timedelta(seconds=61))
        assert (await sign_in(anonymous, "editor", "wrong wrong")).status_code == 401
        clock.shift(timedelta(minutes=5))
        assert (await sign_in(anonymous, "nobody", "wrong wrong")).status_code == 401
        async with muster.database.read() as session:
            left = await session.scalar(select(func.count()).select_from(SignInFailures))
        assert left == 1


async def test_guesses_made_at_once_cannot_pass_the_limit(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    guesses = [sign_in(anonymous, "owner", "wrong wrong") for _ in range(8)]

    answers = await asyncio.gather(*guesses)

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [401] * 3 + [429] * 5
    assert len(await recorded(muster, "user.locked")) == 1


async def test_no_lockout_when_it_is_turned_off(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    muster.credentials.auth = muster.credentials.auth.model_copy(update={"lockout_attempts": 0})
    for _ in range(5):
        assert (await sign_in(anonymous, "owner", "wrong wrong")).status_code == 401
    assert (await sign_in(anonymous, "owner")).status_code == 200


async def test_fifty_logins_at_once(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    names = ["owner", "editor", "operator", "viewer", "outsider"] * 10

    answers = await asyncio.gather(*(sign_in(anonymous, name) for name in names))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 50
    assert len(await recorded(muster, "user.logged_in")) == 50


async def test_refresh_rotates(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    first = (await sign_in(anonymous, "owner")).json()

    second = await anonymous.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})

    assert second.status_code == 200
    body = second.json()
    assert body["refresh_token"] != first["refresh_token"]
    for pair in (first, body):
        me = await anonymous.get("/auth/me", headers=bearer(pair["access_token"]))
        assert me.status_code == 200
    third = await anonymous.post("/auth/refresh", json={"refresh_token": body["refresh_token"]})
    assert third.status_code == 200
    assert await recorded(muster, "session.revoked") == []


async def test_reuse_of_a_refresh_token_ends_the_session(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    first = (await sign_in(anonymous, "owner")).json()
    other = (await sign_in(anonymous, "owner")).json()
    used = {"refresh_token": first["refresh_token"]}
    second = (await anonymous.post("/auth/refresh", json=used)).json()

    reuse = await anonymous.post("/auth/refresh", json=used)

    assert (reuse.status_code, reuse.json()["error"]) == (401, "invalid_token")
    for token in (first["access_token"], second["access_token"]):
        dead = await anonymous.get("/auth/me", headers=bearer(token))
        assert (dead.status_code, dead.json()["error"]) == (401, "invalid_token")
    newest = {"refresh_token": second["refresh_token"]}
    assert (await anonymous.post("/auth/refresh", json=newest)).status_code == 401
    alive = await anonymous.get("/auth/me", headers=bearer(other["access_token"]))
    assert alive.status_code == 200
    [event] = await recorded(muster, "session.revoked")
    assert event.data["reason"] == "refresh_token_reused"


async def test_parallel_refresh_has_one_winner(
    people: People, anonymous: httpx2.AsyncClient
) -> None:
    token = (await sign_in(anonymous, "owner")).json()["refresh_token"]
    attempts = [anonymous.post("/auth/refresh", json={"refresh_token": token}) for _ in range(6)]

    answers = await asyncio.gather(*attempts)

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5


async def test_refresh_refuses_what_is_unknown_expired_or_inactive(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    unknown = await anonymous.post("/auth/refresh", json={"refresh_token": "mst_refresh_x"})
    assert (unknown.status_code, unknown.json()["error"]) == (401, "invalid_token")

    token = (await sign_in(anonymous, "owner")).json()["refresh_token"]
    with time_machine.travel(datetime.now(UTC) + timedelta(days=31)):
        expired = await anonymous.post("/auth/refresh", json={"refresh_token": token})
    assert (expired.status_code, expired.json()["error"]) == (401, "token_expired")

    async with muster.database.write() as session:
        await session.execute(
            update(User).where(User.email == email_of("owner")).values(is_active=False)
        )
    inactive = await anonymous.post("/auth/refresh", json={"refresh_token": token})
    assert (inactive.status_code, inactive.json()["error"]) == (403, "account_inactive")


async def test_logout_ends_this_session_at_once_and_no_other(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    first = (await sign_in(anonymous, "owner")).json()

    answer = await anonymous.post("/auth/logout", headers=bearer(first["access_token"]))

    assert answer.status_code == 204
    dead = await anonymous.get("/auth/me", headers=bearer(first["access_token"]))
    assert (dead.status_code, dead.json()["error"]) == (401, "invalid_token")
    refresh = {"refresh_token": first["refresh_token"]}
    assert (await anonymous.post("/auth/refresh", json=refresh)).status_code == 401
    assert (await people.owner.get("/auth/me")).status_code == 200
    assert len(await recorded(muster, "user.logged_out")) == 1


async def test_sessions_that_ended_long_ago_are_forgotten_at_the_next_sign_in(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    first = (await sign_in(anonymous, "owner")).json()
    await anonymous.post("/auth/logout", headers=bearer(first["access_token"]))

    async def count() -> int | None:
        owner = first["user"]["id"]
        async with muster.database.read() as session:
            return await session.scalar(
                select(func.count()).select_from(UserSession).where(UserSession.user_id == owner)
            )

    assert await count() == 2
    with time_machine.travel(datetime.now(UTC) + timedelta(days=70)):
        assert (await sign_in(anonymous, "owner")).status_code == 200
    assert await count() == 1


async def test_password_changed_while_the_old_one_is_compared(
    muster: Muster,
    people: People,
    anonymous: httpx2.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verify = muster.credentials.passwords.verify

    async def slow(password: str, hashed: str | None) -> bool:
        matches = await verify(password, hashed)
        async with muster.database.write() as session:
            await session.execute(update(User).values(password_hash="another"))
        return matches

    monkeypatch.setattr(muster.credentials.passwords, "verify", slow)

    assert (await sign_in(anonymous, "owner")).status_code == 401


async def test_hash_in_an_unknown_notation_is_no_password(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    async with muster.database.write() as session:
        await session.execute(update(User).values(password_hash="plain text"))
    assert (await sign_in(anonymous, "owner", "plain text")).status_code == 401


async def test_a_success_between_guesses_leaves_the_count_exact(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    guesses = [sign_in(anonymous, "owner", "wrong wrong") for _ in range(8)]

    answers = await asyncio.gather(sign_in(anonymous, "owner"), *guesses)

    codes = [answer.status_code for answer in answers]
    assert codes[0] in {200, 429}
    # Three before the success at the most, and three after it.
    assert 3 <= codes.count(401) <= 5
    assert codes.count(429) == 9 - codes.count(401) - codes.count(200)
