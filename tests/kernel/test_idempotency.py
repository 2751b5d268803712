"""`Idempotency-Key`: one effect and one answer."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import time_machine
from sqlalchemy import func, select
from structlog.testing import capture_logs

from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.http import App
from muster.kernel.http.idempotency import KEPT_FOR, IdempotencyRecord, forget_old
from tests.kernel.things import Thing, client_of

pytestmark = pytest.mark.anyio

PATH = "/api/v1/things"


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def count(database: Database, model: type = Thing) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def test_a_second_time_has_no_effect_and_gets_the_first_answer(
    client: httpx2.AsyncClient, database: Database
) -> None:
    first = await client.post(PATH, json={"name": "a"}, headers=key("one"))
    second = await client.post(PATH, json={"name": "a"}, headers=key("one"))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert "x-own" in first.headers
    assert "x-own" not in second.headers
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert await count(database) == 1


async def test_fifty_at_once_have_one_effect(app: App, database: Database) -> None:
    async with client_of(app) as client:
        async with asyncio.timeout(25):
            answers = await asyncio.gather(
                *(client.post(PATH, json={"name": "a"}, headers=key("one")) for _ in range(50))
            )
    assert Counter(answer.status_code for answer in answers) == {201: 50}
    assert len({answer.json()["id"] for answer in answers}) == 1
    made = [a for a in answers if "idempotency-replayed" not in a.headers]
    assert len(made) == 1
    assert (await count(database), await count(database, IdempotencyRecord)) == (1, 1)


async def test_fifty_at_once_that_nothing_else_keeps_apart(app: App, database: Database) -> None:
    async with client_of(app) as client:
        answers = await asyncio.gather(
            *(client.post(f"{PATH}/refuse", headers=key("one")) for _ in range(50))
        )
    assert len({answer.content for answer in answers}) == 1
    assert await count(database, IdempotencyRecord) == 1


async def test_another_request_may_not_use_the_key(
    client: httpx2.AsyncClient, database: Database
) -> None:
    await client.post(PATH, json={"name": "a"}, headers=key("one"))
    for path, body in ((PATH, {"name": "b"}), (f"{PATH}?group_id=x", {"name": "a"})):
        refused = await client.post(path, json=body, headers=key("one"))
        assert (refused.status_code, refused.json()["error"]) == (422, "idempotency_key_reused")
    assert await count(database) == 1
    same = await client.post("/v1/things/", json={"name": "a"}, headers=key("one"))
    assert same.headers["idempotency-replayed"] == "true"


async def test_keys_belong_to_their_caller(app: App, database: Database) -> None:
    for number, caller in enumerate(("editor/", "owner/", "editor/key-1", "editor/key-2")):
        async with client_of(app, Authorization=caller) as client:
            made = await client.post(PATH, json={"name": f"{number}"}, headers=key("one"))
        assert made.status_code == 201
        assert "idempotency-replayed" not in made.headers
    assert await count(database, IdempotencyRecord) == 4


async def test_a_refusal_is_not_kept(client: httpx2.AsyncClient, database: Database) -> None:
    taken = (await client.post(PATH, json={"name": "a"})).json()
    for _ in range(2):
        refused = await client.post(PATH, json={"name": "a"}, headers=key("one"))
        assert (refused.status_code, refused.json()["error"]) == (409, "thing_name_taken")
    invalid = await client.post(PATH, json={}, headers=key("one"))
    assert invalid.status_code == 422
    assert await count(database, IdempotencyRecord) == 0
    await client.delete(f"{PATH}/{taken['id']}")
    made = await client.post(PATH, json={"name": "a"}, headers=key("one"))
    assert made.status_code == 201


async def test_an_answer_that_says_no_is_kept(client: httpx2.AsyncClient) -> None:
    first, second = [await client.post(f"{PATH}/refuse", headers=key("one")) for _ in range(2)]
    assert (first.status_code, second.status_code) == (409, 409)
    assert first.content == second.content


async def test_a_fault_is_not_kept(client: httpx2.AsyncClient, database: Database) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            fault = await client.post(f"{PATH}/fail", headers=key("one"))
            assert fault.status_code == 500
    assert [entry["event"] for entry in logs].count("unexpected_error") == 2
    assert (await count(database), await count(database, IdempotencyRecord)) == (0, 0)


async def test_handlers_without_a_write_session_are_simply_called(
    client: httpx2.AsyncClient, database: Database
) -> None:
    answers = [await client.post(f"{PATH}/count", headers=key("one")) for _ in range(3)]
    assert [answer.json()["counted"] for answer in answers] == [1, 2, 3]
    assert await count(database, IdempotencyRecord) == 0


async def test_streams_are_not_kept(client: httpx2.AsyncClient, database: Database) -> None:
    answers = [await client.post(f"{PATH}/stream", headers=key("one")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content != answers[1].content
    assert await count(database, IdempotencyRecord) == 0


async def test_other_methods_and_open_operations_ignore_the_header(
    client: httpx2.AsyncClient, database: Database
) -> None:
    made = await client.post(PATH, json={"name": "a"})
    where = made.headers["location"]
    for name in ("b", "c"):
        changed = await client.put(where, json={"name": name}, headers=key("one"))
        assert changed.json()["name"] == name
    await client.get(where, headers=key("one"))
    body = {"name": "n", "password": "long enough"}
    assert (await client.post(f"{PATH}/log-in", json=body, headers=key("one"))).status_code == 200
    assert (await client.delete(where, headers=key("one"))).status_code == 204
    assert await count(database, IdempotencyRecord) == 0


@pytest.mark.parametrize("size", [1, 255])
async def test_the_length_of_a_key(client: httpx2.AsyncClient, size: int) -> None:
    made = await client.post(PATH, json={"name": "a"}, headers=key("k" * size))
    assert made.status_code == 201


async def test_keys_that_are_none(client: httpx2.AsyncClient, database: Database) -> None:
    for text in (b"", b"k" * 256, b"a\tb", b"\x80"):
        refused = await client.post(PATH, json={"name": "a"}, headers=[(b"Idempotency-Key", text)])
        assert (refused.status_code, refused.json()["error"]) == (422, "idempotency_key_invalid")
    assert await count(database) == 0


async def test_a_key_can_be_used_again_when_its_time_is_over(
    client: httpx2.AsyncClient, database: Database
) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        await client.post(PATH, json={"name": "a"}, headers=key("one"))
        traveller.shift(KEPT_FOR - timedelta(seconds=1))
        again = await client.post(PATH, json={"name": "a"}, headers=key("one"))
        assert again.headers["idempotency-replayed"] == "true"
        traveller.shift(timedelta(seconds=2))
        other = await client.post(PATH, json={"name": "b"}, headers=key("one"))
        assert other.status_code == 201
        assert "idempotency-replayed" not in other.headers
        once_more = await client.post(PATH, json={"name": "b"}, headers=key("one"))
        assert once_more.content == other.content


async def test_old_answers_are_forgotten(client: httpx2.AsyncClient, database: Database) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        await client.post(PATH, json={"name": "a"}, headers=key("old"))
        traveller.shift(KEPT_FOR + timedelta(seconds=1))
        await client.post(PATH, json={"name": "b"}, headers=key("new"))
        await forget_old(database)
    async with database.read() as session:
        assert list(await session.scalars(select(IdempotencyRecord.key))) == ["new"]


async def test_a_client_that_goes_away_while_it_sends_is_no_fault(
    app: App, database: Database
) -> None:
    sent = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(b"idempotency-key", b"one"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "app": app,
    }
    answers: list[Any] = []

    async def receive() -> Any:
        return next(sent)

    async def send(message: Any) -> None:
        answers.append(message)

    with capture_logs() as logs:
        await app(scope, receive, send)
    assert answers[0]["status"] == 400
    assert not [line for line in logs if line["event"] == "unexpected_error"]
    assert await count(database) == 0
