"""Every refusal and every fault is one problem, and none tells what it should not."""

import sqlite3
from collections.abc import AsyncIterator
from traceback import format_exception
from typing import Any

import httpx2
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from structlog.testing import capture_logs

from muster.kernel.errors import AppError, Conflict, FieldError, NotFound
from muster.kernel.http import App
from muster.kernel.http.problems import (
    Problem,
    app_error,
    database_error,
    framework_error,
    problems,
    unreadable_value,
)
from tests.kernel.things import client_of, make_app

pytestmark = pytest.mark.anyio


@pytest.fixture
async def plain() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application whose database nobody asks."""
    async with client_of(make_app(None, "")) as client:  # type: ignore[arg-type]
        yield client


def problem(answer: httpx2.Response) -> dict[str, Any]:
    """Check the shape that all problems have; return the body."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    Problem.model_validate(body)
    assert set(body) == set(Problem.model_fields)
    assert body["status"] == answer.status_code
    assert body["type"] == f"/problems/{body['error']}"
    assert body["request_id"] == answer.headers["x-request-id"]
    if body["status"] != 422:
        assert body["detail"] == body["message"]
    return body


# --- refusals ---------------------------------------------------------------------------------


async def test_an_expected_failure(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/v1/things/raise/app")
    body = problem(answer)
    assert (answer.status_code, answer.headers["retry-after"]) == (400, "7")
    assert (body["error"], body["title"]) == ("bad_request", "The request cannot be read")
    assert body["message"] == "Read the manual."
    assert body["errors"] == [{"field": "name", "message": "is odd"}]
    assert body["details"] == {"limit": 3}


async def test_an_invalid_request_lists_its_findings(client: httpx2.AsyncClient) -> None:
    body = problem(await client.post("/api/v1/things/raise/invalid"))
    assert body["errors"] == [{"field": "config.url", "message": "is no URL"}]
    assert body["detail"] == [
        {
            "type": "validation_error",
            "loc": ["body", "config", "url"],
            "msg": "is no URL",
            "input": None,
        }
    ]
    body = problem(await client.post("/api/v1/things/raise/invalid-as-a-whole"))
    assert (body["message"], body["errors"]) == ("Nothing fits.", [])
    assert [(item["loc"], item["msg"]) for item in body["detail"]] == [(["body"], "Nothing fits.")]


async def test_what_validation_finds(plain: httpx2.AsyncClient) -> None:
    long = "x" * 1000
    answer = await plain.post(
        "/api/v1/things/log-in", json={"nested": {"a": long}, "rank": [1], "more": 2.5}
    )
    body = problem(answer)
    assert (answer.status_code, body["error"]) == (422, "validation_error")
    fields = [error["field"] for error in body["errors"]]
    assert fields == ["name", "password", "nested.a", "rank", "more"]
    assert body["message"].startswith("name: Field required; password: Field required; nested.a:")
    inputs = {item["loc"][-1]: item["input"] for item in body["detail"]}
    assert inputs == {"name": {}, "password": "***", "a": long[:200], "rank": {}, "more": 2.5}


async def test_secrets_are_not_echoed(plain: httpx2.AsyncClient) -> None:
    secret = "hunter2"
    for body in (
        {"name": "n", "password": secret},
        {"name": "n", "password": [secret]},
        {"name": "n", "password": {"deep": secret}},
        {"password": secret * 2},
        {"name": [secret], "password": secret * 2},
        {"name": "n", "api_key": secret, "password": secret * 2},
        {"name": "n", "password": secret * 2, "nested": {"token": secret}},
        {"name": "n", "password": secret * 2, "nested": {"clientSecret": secret}},
        [secret],
        secret,
    ):
        answer = await plain.post("/api/v1/things/log-in", json=body)
        assert answer.status_code == 422
        assert secret not in answer.text, body
        problem(answer)
    answer = await plain.post("/api/v1/things/log-in", content=secret.encode())
    assert secret not in answer.text


async def test_texts_that_have_no_form_in_utf8(plain: httpx2.AsyncClient) -> None:
    answer = await plain.get("/api/v1/things/plain/query?number=%ED%A0%80&%ff=1&flag=nan")
    assert answer.status_code == 422
    answer = await plain.get("/api/v1/things/plain/query?number=%ED%A0%80&flag=x")
    assert problem(answer)["status"] == 422


async def test_numbers_that_have_no_form_in_json(plain: httpx2.AsyncClient) -> None:
    from fastapi.exceptions import RequestValidationError

    from muster.kernel.http.problems import validation_error

    for value, shown in ((float("inf"), b"null"), (float("nan"), b"null"), (1.5, b"1.5")):
        item = {"type": "finite", "loc": ("body", 0, "\ud800"), "msg": "\ud800", "input": value}
        answer = await validation_error(bare(), RequestValidationError([item]))
        assert b'"input":' + shown in bytes(answer.body)


async def test_what_the_framework_refuses(plain: httpx2.AsyncClient) -> None:
    assert problem(await plain.get("/nothing"))["error"] == "not_found"
    refused = await plain.delete("/api/v1/things")
    assert problem(refused)["error"] == "method_not_allowed"
    broken = await plain.post(
        "/api/v1/things/log-in",
        content=b"--x\r\nbroken",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert problem(broken)["status"] == 422


def bare() -> Request:
    return Request(
        {"type": "http", "headers": [], "path": "/", "query_string": b"", "server": None}
    )


async def test_refusals_of_the_framework_without_words() -> None:
    answer = await framework_error(bare(), HTTPException(418))
    assert b'"error":"im_a_teapot"' in answer.body
    answer = await framework_error(bare(), HTTPException(401, "Who are you?", {"X-A": "b"}))
    assert b'"error":"unauthorized"' in answer.body
    assert b"Who are you?" in answer.body
    assert answer.headers["x-a"] == "b"


async def test_a_row_that_is_not_there(client: httpx2.AsyncClient) -> None:
    body = problem(await client.get("/api/v1/things/none"))
    assert (body["error"], body["message"]) == ("thing_not_found", "No such thing in this project")


async def test_a_name_that_is_taken(client: httpx2.AsyncClient) -> None:
    made = [await client.post("/api/v1/things", json={"name": "a"}) for _ in range(2)]
    assert problem(made[1])["error"] == "thing_name_taken"
    other = await client.post("/api/v1/things", json={"name": "b"})
    renamed = await client.put(other.headers["location"], json={"name": "a"})
    assert problem(renamed)["error"] == "thing_name_taken"


async def test_who_may_not(app: App) -> None:
    async with client_of(app, Authorization="viewer/") as client:
        assert (await client.get("/api/v1/things")).status_code == 200
        body = problem(await client.post("/api/v1/things", json={"name": "a"}))
    assert (body["status"], body["error"]) == (403, "insufficient_role")
    assert "agents:write or agents:register" in body["message"]


# --- the database -----------------------------------------------------------------------------


async def test_a_broken_constraint_is_a_conflict(client: httpx2.AsyncClient) -> None:
    body = problem(await client.post("/api/v1/things/raise/integrity"))
    assert (body["status"], body["error"]) == (409, "conflict")
    assert "kernel_test_things" not in str(body)


async def test_values_that_no_column_holds(client: httpx2.AsyncClient) -> None:
    for rank in (2**63, -(2**63) - 1, 10**400):
        answer = await client.post("/api/v1/things", json={"name": f"{rank}"[:50], "rank": rank})
        assert problem(answer)["status"] == 422
    for since in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        answer = await client.get(f"/api/v1/things?since={since}")
        assert problem(answer)["status"] == 422
    assert (await client.get("/api/v1/things?since=2026-01-01T00:00:00")).status_code == 200
    for path in ("/api/v1/things/%00", "/api/v1/things/%ED%A0%80", "/api/v1/things?named=%00"):
        answer = await client.get(path)
        assert answer.status_code in {200, 404, 422}
    assert (await client.get("/api/v1/things")).json()["total"] == 0


async def test_a_statement_that_is_wrong_is_our_fault(client: httpx2.AsyncClient) -> None:
    with capture_logs() as logs:
        answer = await client.post("/api/v1/things/raise/sql")
    body = problem(answer)
    assert (body["status"], body["error"]) == (500, "internal_error")
    assert "secret_column" not in answer.text
    (fault,) = [entry for entry in logs if entry["event"] == "unexpected_error"]
    assert "secret_column" in fault["exc_info"].statement


@pytest.mark.parametrize(
    "error",
    [
        PoolTimeout("QueuePool limit of size 1 reached"),
        OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked")),
    ],
)
async def test_a_busy_database(error: Exception) -> None:
    answer = await database_error(bare(), error)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert b'"error":"unavailable"' in answer.body
    assert b"QueuePool" not in answer.body
    assert b"SELECT" not in answer.body


class Refused(Exception):
    sqlstate = "22021"


@pytest.mark.parametrize(
    "error",
    [
        DBAPIError("INSERT", {}, Refused("character with byte sequence 0x00")),
        StatementError("date value out of range", "SELECT", {}, OverflowError("date value")),
        DBAPIError("INSERT", {}, UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates")),
    ],
)
async def test_values_that_the_driver_refuses(error: Exception) -> None:
    answer = await database_error(bare(), error)
    assert answer.status_code == 422
    assert b"cannot be stored" in answer.body
    assert b"INSERT" not in answer.body


async def test_values_that_the_driver_cannot_take() -> None:
    answer = await unreadable_value(bare(), OverflowError("Python int too large"))
    assert answer.status_code == 422
    assert b"Python" not in answer.body


# --- faults -----------------------------------------------------------------------------------


async def test_a_fault_tells_nothing_and_is_logged(client: httpx2.AsyncClient) -> None:
    with capture_logs() as logs:
        answer = await client.post("/v1/things/raise/other", headers={"X-Request-Id": "find-me"})
    body = problem(answer)
    assert (body["status"], body["error"], body["request_id"]) == (500, "internal_error", "find-me")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    (fault,) = [entry for entry in logs if entry["event"] == "unexpected_error"]
    assert isinstance(fault["exc_info"], RuntimeError)
    assert fault["path"] == "/api/v1/things/raise/other"
    (request,) = [entry for entry in logs if entry["event"] == "request"]
    assert (request["status"], request["request_id"]) == (500, "find-me")


async def test_a_fault_in_the_middle_of_an_answer_breaks_it_off() -> None:
    app = make_app(None, "")  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://muster.test") as client:
        with pytest.raises(RuntimeError, match="response already started") as broken:
            await client.get("/api/v1/things/broken/stream")
    assert "hunter2" in "".join(format_exception(broken.value)), "the log is to tell what it was"


# --- in the document --------------------------------------------------------------------------


def test_the_problems_of_an_operation_by_status() -> None:
    class Taken(Conflict):
        code, title = "name_taken", "Taken"

    class Busy(Conflict):
        code, title = "busy", "Busy"

    found = problems(Taken, NotFound, Busy)
    assert list(found) == [409, 404]
    examples = found[409]["content"]["application/problem+json"]["examples"]
    assert set(examples) == {"name_taken", "busy"}
    Problem.model_validate(examples["busy"]["value"])


async def test_errors_have_defaults() -> None:
    plain = NotFound()
    assert (str(plain), plain.detail, plain.errors, plain.details, plain.headers) == (
        "Not found",
        "Not found",
        [],
        {},
        {},
    )
    told = AppError("why", errors=[FieldError("a", "b")], details={"x": 1}, headers={"y": "z"})
    assert (str(told), told.errors[0].field, told.details, told.headers) == (
        "why",
        "a",
        {"x": 1},
        {"y": "z"},
    )
    answer = await app_error(bare(), told)
    assert answer.status_code == 500
