"""Triggers of type webhook: who may call, what is taken, and that it is taken once."""

import asyncio
import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from muster.domains.work.triggers.models import Firing
from muster.entrypoints.assembly import Muster
from muster.platform.events import EventRecord
from tests.support.people import People
from tests.work.external_setting import code
from tests.work.trigger_setting import (
    Process,
    count,
    history,
    people,
    process,
    runs_of,
    signed,
    time,
    trigger,
)

__all__ = ["people", "process", "time"]

pytestmark = pytest.mark.anyio

BODY = b'{"ticket": {"id": 7, "title": "It burns"}}'


def path_of(made: dict[str, Any]) -> str:
    assert made["hook_url"] == f"/api/v1/hooks/{made['id']}"
    return f"/hooks/{made['id']}"


async def test_a_signed_call_starts_a_run(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient, process: Process
) -> None:
    made = await trigger(
        people.editor,
        "webhook",
        starting={"inputs": {"prompt": "{{ payload.ticket.title }}: {{ payload.ticket.id }}"}},
    )
    assert made["secret"].startswith("whsec_")
    assert made["config"] == {"verification": "standard"}
    answer = await anonymous.post(path_of(made), content=BODY, headers=signed(made["secret"], BODY))
    assert answer.status_code == 202, answer.text
    taken = answer.json()
    assert (taken["status"], taken["duplicate"]) == ("pending", False)
    await process.settle()
    (run,) = await runs_of(muster, people.project_id)
    assert run.id == taken["run_id"]
    assert run.inputs == {"prompt": "It burns: 7"}
    (shown,) = await history(people.viewer, made)
    assert (shown["id"], shown["source"]) == (taken["firing_id"], "webhook")


async def test_the_secret_is_shown_once(muster: Muster, people: People) -> None:
    made = await trigger(people.editor, "webhook")
    path = f"/triggers/{made['id']}"
    answers = [
        await people.editor.get(path),
        await people.editor.get("/triggers"),
        await people.editor.get("/api-keys"),
        await people.editor.put(path, json={"name": "Other", "config": {}}),
        await people.editor.get("/events", params={"limit": 200}),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert "whsec" not in answer.text
        assert made["secret"][-8:] not in answer.text
    async with muster.database.read() as session:
        rows = (await session.scalars(select(EventRecord))).all()
    assert not any("whsec" in str(row.data) for row in rows)


async def test_the_same_call_again(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    made = await trigger(people.editor, "webhook")
    headers = signed(made["secret"], BODY)
    answers = await asyncio.gather(
        *(anonymous.post(path_of(made), content=BODY, headers=headers) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["firing_id"] for answer in answers}) == 1
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 4
    assert await count(muster, Firing) == 1


async def test_calls_that_prove_nothing(
    muster: Muster, people: People, anonymous: httpx2.AsyncClient
) -> None:
    made = await trigger(people.editor, "webhook")
    good = signed(made["secret"], BODY)
    now = datetime.now(UTC)
    other = await trigger(people.editor, "webhook", action={"agent": "a"})
    wrong: list[dict[str, str]] = [
        {},
        {**good, "webhook-signature": "v1,AAAA"},
        {**good, "webhook-signature": ""},
        {**good, "webhook-id": "msg_2"},
        {**good, "webhook-timestamp": "soon"},
        {**good, "webhook-timestamp": "9" * 40},
        {**good, "webhook-timestamp": "-1"},
        signed(made["secret"], BODY + b" "),
        signed(other["secret"], BODY),
        signed(made["secret"], BODY, at=now - timedelta(minutes=6)),
        signed(made["secret"], BODY, at=now + timedelta(minutes=6)),
        {"x-muster-token": made["secret"]},
        {"authorization": f"Bearer {made['secret']}"},
    ]
    for headers in wrong:
        answer = await anonymous.post(path_of(made), content=BODY, headers=headers)
        assert code(answer) == (401, "hook_unsigned"), headers
    assert await count(muster, Firing) == 0
    two = f"v1,AAAA {good['webhook-signature']} v1a,x"
    answer = await anonymous.post(
        path_of(made), content=BODY, headers={**good, "webhook-signature": two}
    )
    assert answer.status_code == 202


async def test_other_ways_to_prove(people: People, anonymous: httpx2.AsyncClient) -> None:
    secret = "a plain secret of github"
    made = await trigger(
        people.editor,
        "webhook",
        action={"agent": "a"},
        config={"verification": "github", "secret": secret},
    )
    assert made["secret"] == secret
    digest = hmac.new(secret.encode(), BODY, sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={digest}", "x-github-delivery": "1"}
    for duplicate in (False, True):
        answer = await anonymous.post(path_of(made), content=BODY, headers=headers)
        assert (answer.status_code, answer.json()["duplicate"]) == (202, duplicate)
    headers["x-hub-signature-256"] = f"sha256={'0' * 64}"
    assert (await anonymous.post(path_of(made), content=BODY, headers=headers)).status_code == 401

    change = {"config": {"verification": "token"}}
    assert (await people.editor.patch(f"/triggers/{made['id']}", json=change)).status_code == 200
    for headers in ({"x-muster-token": secret}, {"authorization": f"Bearer {secret}"}):
        answer = await anonymous.post(path_of(made), content=BODY, headers=headers)
        assert (answer.status_code, answer.json()["duplicate"]) == (202, False)
    for headers in ({"x-muster-token": "another"}, {}):
        answer = await anonymous.post(path_of(made), content=BODY, headers=headers)
        assert answer.status_code == 401
    # Its secret is no secret of the standard.
    change = {"config": {"verification": "standard"}}
    assert (await people.editor.patch(f"/triggers/{made['id']}", json=change)).status_code == 400


async def test_rotating_the_secret(people: People, anonymous: httpx2.AsyncClient) -> None:
    made = await trigger(people.editor, "webhook", action={"agent": "a"})
    answer = await people.editor.post(f"/triggers/{made['id']}/rotate-secret")
    assert answer.status_code == 200
    new = answer.json()["secret"]
    assert new != made["secret"]
    for number, secret in enumerate((made["secret"], new)):
        headers = signed(secret, BODY, f"msg_{number}")
        sent = await anonymous.post(path_of(made), content=BODY, headers=headers)
        assert sent.status_code == 202
    other = await trigger(people.editor, "event", config={"events": ["a"]}, action={"agent": "a"})
    answer = await people.editor.post(f"/triggers/{other['id']}/rotate-secret")
    assert code(answer) == (409, "trigger_has_no_secret")


async def test_nobody_is_there(people: People, anonymous: httpx2.AsyncClient) -> None:
    made = await trigger(people.editor, "webhook", action={"agent": "a"})
    other = await trigger(people.editor, "event", config={"events": ["a"]}, action={"agent": "a"})
    for unknown in ("nothing", other["id"], "%00", "a" * 3000):
        answer = await anonymous.post(f"/hooks/{unknown}", content=BODY)
        assert answer.status_code in {404, 422}, answer.text
    await people.editor.post(f"/triggers/{made['id']}/toggle")
    answer = await anonymous.post(path_of(made), content=BODY)
    assert answer.status_code == 401, "only whoever knows the secret is told more"
    headers = signed(made["secret"], BODY)
    answer = await anonymous.post(path_of(made), content=BODY, headers=headers)
    assert code(answer) == (410, "hook_disabled")
    await people.editor.delete(f"/triggers/{made['id']}")
    answer = await anonymous.post(path_of(made), content=BODY, headers=headers)
    assert code(answer) == (404, "hook_not_found")


@pytest.mark.parametrize(
    ("kind", "body", "payload"),
    [
        ("application/json", b"[1, 2]", [1, 2]),
        ("application/cloudevents+json", b'{"a": null}', {"a": None}),
        ("application/json", b"", {}),
        ("application/x-www-form-urlencoded", b"a=1&b=%00x&a=2", {"a": "2", "b": "x"}),
        ("text/plain", b"words \xff\x00", {"text": "words \ufffd"}),
        ("", b"words", {"text": "words"}),
    ],
)
async def test_bodies(
    muster: Muster,
    people: People,
    anonymous: httpx2.AsyncClient,
    kind: str,
    body: bytes,
    payload: Any,
) -> None:
    made = await trigger(people.editor, "webhook", action={"agent": "a"})
    headers = {**signed(made["secret"], body), "content-type": kind}
    answer = await anonymous.post(path_of(made), content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    (shown,) = await history(people.viewer, made)
    assert shown["inputs"] == {"payload": payload}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b'{"a": "\\u0000"}', 422),
        (b'{"a": NaN}', 422),
        (b"[" * 500 + b"]" * 500, 422),
        (b'"' + b"a" * 1_000_001 + b'"', 413),
        (json.dumps({"n": 10**300}).encode(), 202),
    ],
)
async def test_bodies_that_are_not_taken(
    people: People, anonymous: httpx2.AsyncClient, body: bytes, status: int
) -> None:
    made = await trigger(people.editor, "webhook", action={"agent": "a"})
    headers = signed(made["secret"], body)
    answer = await anonymous.post(path_of(made), content=body, headers=headers)
    assert answer.status_code == status, answer.text
