"""Who a token says one is: forged, expired and malformed tokens, and the project of a request."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import time_machine
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.requests import HTTPConnection

from muster.entrypoints.assembly import Muster
from muster.kernel.crypto import MasterKey
from muster.kernel.ids import new_id
from muster.platform.access import PlatformRole
from muster.platform.projects import authenticate, authenticate_token
from tests.support.accounts import Accounts, make_accounts
from tests.support.people import People

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


@pytest.fixture
async def accounts(muster: Muster) -> Accounts:
    return await make_accounts(muster)


async def refused(client: httpx2.AsyncClient, **headers: str) -> str:
    answer = await client.get("/auth/me", headers=headers)
    assert answer.status_code == 401, answer.text
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    return str(answer.json()["error"])


def claims_of(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


async def test_malformed_credentials_have_codes_of_their_own(anonymous: httpx2.AsyncClient) -> None:
    assert await refused(anonymous) == "missing_auth"
    assert await refused(anonymous, Authorization="Basic abc") == "invalid_authorization_header"
    assert await refused(anonymous, Authorization="Bearer") == "missing_token"
    assert await refused(anonymous, Authorization="Bearer abc") == "invalid_token"
    assert await refused(anonymous, Authorization="Bearer " + "a" * 5000) == "invalid_token"
    assert await refused(anonymous, Authorization="Bearer mst_user_none") == "invalid_token"
    assert await refused(anonymous, **{"X-API-Key": "mst_user_none"}) == "invalid_token"


async def test_forged_tokens_are_refused(
    muster: Muster, accounts: Accounts, anonymous: httpx2.AsyncClient
) -> None:
    token = accounts.tokens["superadmin"]
    claims = claims_of(token)
    ours = OctKey.import_key(muster.master_key.derive("jwt"))
    theirs = OctKey.import_key(MasterKey(b"x" * 32).derive("jwt"))

    def encode(data: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    head, body, signature = token.split(".")
    forged = {
        "no algorithm": encode({"alg": "none", "typ": "JWT"}) + f".{body}.",
        "no algorithm, old signature": encode({"alg": "none"}) + f".{body}.{signature}",
        "another key": jwt.encode({"alg": "HS256"}, claims, theirs),
        "another algorithm": jwt.encode({"alg": "HS512"}, claims, ours, algorithms=["HS512"]),
        "another body": f"{head}.{encode({**claims, 'sub': accounts.ids['owner']})}.{signature}",
        "another issuer": jwt.encode({"alg": "HS256"}, {**claims, "iss": "other"}, ours),
        "another user": jwt.encode(
            {"alg": "HS256"}, {**claims, "sub": accounts.ids["owner"]}, ours
        ),
        "unknown session": jwt.encode({"alg": "HS256"}, {**claims, "sid": new_id()}, ours),
        "no session": jwt.encode(
            {"alg": "HS256"}, {k: v for k, v in claims.items() if k != "sid"}, ours
        ),
        "no expiry": jwt.encode(
            {"alg": "HS256"}, {k: v for k, v in claims.items() if k != "exp"}, ours
        ),
    }
    for name, fake in forged.items():
        assert await refused(anonymous, Authorization=f"Bearer {fake}") == "invalid_token", name


async def test_role_in_the_token_is_not_believed(
    muster: Muster, accounts: Accounts, connect: Connect
) -> None:
    token = muster.credentials.access_tokens.issue(
        user_id=accounts.ids["viewer"],
        session_id=str(claims_of(accounts.tokens["viewer"])["sid"]),
        role=PlatformRole.SUPERADMIN,
    )
    client = connect(Authorization=f"Bearer {token}")

    assert (await client.get("/auth/me")).json()["role"] == "user"
    assert (await client.get("/users")).status_code == 403


async def test_access_token_expires(accounts: Accounts, anonymous: httpx2.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {accounts.tokens['owner']}"}
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=61)):
        assert await refused(anonymous, **headers) == "token_expired"


async def test_scheme_is_read_in_any_case(
    accounts: Accounts, anonymous: httpx2.AsyncClient
) -> None:
    headers = {"Authorization": f"bearer  {accounts.tokens['owner']}"}
    assert (await anonymous.get("/auth/me", headers=headers)).status_code == 200


@pytest.mark.parametrize("way", ["X-Project-Id", "group_id", "query"])
async def test_project_of_a_request_can_be_named(people: People, way: str) -> None:
    me = (await people.owner.get("/auth/me")).json()

    async def ask(project_id: str) -> httpx2.Response:
        if way == "query":
            return await people.owner.get("/auth/me", params={"group_id": project_id})
        return await people.owner.get("/auth/me", headers={way: project_id})

    named = await ask(me["personal_project_id"])
    assert named.json()["project_id"] == me["personal_project_id"]
    for foreign in (people.other_project_id, new_id(), "no-id"):
        answer = await ask(foreign)
        assert (answer.status_code, answer.json()["error"]) == (404, "project_not_found")


async def test_header_goes_before_the_query_and_the_path_before_both(people: People) -> None:
    personal = (await people.owner.get("/auth/me")).json()["personal_project_id"]
    headers = {"X-Project-Id": personal}

    query = {"group_id": people.other_project_id}
    me = await people.owner.get("/auth/me", headers=headers, params=query)
    assert me.json()["project_id"] == personal
    project = await people.owner.get(f"/projects/{people.project_id}", headers=headers)
    assert project.json()["id"] == people.project_id


def websocket(muster: Muster, query: str) -> HTTPConnection:
    return HTTPConnection(
        {
            "type": "websocket",
            "app": muster.app,
            "headers": [],
            "path": "/api/v1/ws",
            "query_string": query.encode(),
        }
    )


async def test_websocket_may_carry_the_token_in_its_address_or_in_a_message(
    muster: Muster, accounts: Accounts
) -> None:
    token = accounts.tokens["editor"]

    caller = await authenticate(websocket(muster, f"token={token}"))
    assert caller.id == accounts.ids["editor"]
    later = await authenticate_token(websocket(muster, f"group_id={accounts.project_id}"), token)
    assert later.project_id == accounts.project_id


async def test_plain_requests_may_not_carry_the_token_in_their_address(
    accounts: Accounts, anonymous: httpx2.AsyncClient
) -> None:
    answer = await anonymous.get("/auth/me", params={"token": accounts.tokens["owner"]})
    assert answer.status_code == 401
