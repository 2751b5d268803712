"""Strict queries, strict JSON, and finding the route."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from muster.kernel.http import App, LazyRouter
from muster.kernel.http.lazy import together
from muster.kernel.http.routing import BASE, PrefixDispatch, query_names, required_scope
from tests.kernel.things import client_of, make_app

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def plain() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application whose database nobody asks."""
    async with client_of(make_app(None, "")) as client:  # type: ignore[arg-type]
        yield client


def operation(name: str) -> APIRoute:
    routes = make_app(None, "").operations()  # type: ignore[arg-type]
    return next(route for route in routes if route.name == name)


# --- queries ----------------------------------------------------------------------------------


def test_the_names_of_all_query_parameters() -> None:
    assert query_names(operation("list_things").dependant) == {
        "limit",
        "offset",
        "cursor",
        "named",
        "called",
        "type",
        "since",
    }
    assert query_names(operation("plain_query").dependant) == {"number", "text", "flag"}
    assert query_names(operation("log_in").dependant) == set()


def test_the_scope_of_an_operation() -> None:
    assert required_scope(operation("get_thing").dependant) == "agents:read"
    assert required_scope(operation("log_in").dependant) is None


async def test_known_parameters_and_their_aliases(client: httpx2.AsyncClient) -> None:
    for query in ("", "?limit=5&offset=1", "?named=x", "?called=x", "?type=a", "?group_id=any"):
        answer = await client.get(f"/api/v1/things{query}")
        assert answer.status_code == 200, query


@pytest.mark.parametrize("name", ["page", "Limit", "kind", "cursor_", "%00", "group-id"])
async def test_unknown_parameters_are_refused(client: httpx2.AsyncClient, name: str) -> None:
    answer = await client.get(f"/api/v1/things?limit=5&{name}=secret-value")
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error")
    (finding,) = answer.json()["detail"]
    assert (finding["type"], finding["loc"][0]) == ("extra_forbidden", "query")
    assert "secret-value" not in answer.text


async def test_unknown_parameters_where_none_is_known(plain: httpx2.AsyncClient) -> None:
    answer = await plain.post("/api/v1/things/echo?x=1&y=2", json={})
    assert [error["field"] for error in answer.json()["errors"]] == ["x", "y"]
    assert (await plain.post("/api/v1/things/echo?group_id=1", json={})).status_code == 200


async def test_who_is_nobody_learns_nothing_of_the_parameters() -> None:
    app = make_app(None, "")  # type: ignore[arg-type]
    asked: list[str] = []

    async def identify(request: Any) -> str:
        asked.append(request.url.path)
        return "somebody"

    app.state.identify = identify
    async with client_of(app) as client:
        await client.get("/api/v1/things?x=1")
        await client.post("/api/v1/things/echo?x=1", json={})
    assert asked == ["/api/v1/things"]


# --- JSON -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b'{"a": NaN}', "malformed"),
        (b'{"a": Infinity}', "malformed"),
        (b'{"a": -1e999}', "out of range"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "out of range"),
        (rb'{"a": "\ud800"}', ""),
        (rb'{"a": "\udc00x"}', ""),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'\xff\xfe{"a": 1}', "malformed"),
        (rb'{"a": "x\u0000"}', "NUL"),
        (rb'{"\u0000": 1}', "NUL"),
        (rb'{"a": "\\\u0000"}', "NUL"),
        (b'{"a": "\0"}', ""),
        (b'{"a": 1,}', "malformed"),
        (b"{'a': 1}", "malformed"),
        (b'{"a": 1} x', "malformed"),
        (b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}", "deep"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "deep"),
        (b"[" * 100_000, "deep"),
        (b"{", "truncated"),
    ],
)
async def test_json_that_is_not_taken(plain: httpx2.AsyncClient, body: bytes, part: str) -> None:
    answer = await plain.post("/api/v1/things/echo", content=body, headers=JSON)
    assert answer.status_code == 422
    (finding,) = answer.json()["detail"]
    assert finding["type"] == "json_invalid"
    assert part in json.dumps(answer.json())


@pytest.mark.parametrize(
    "value",
    [
        {"a": 10**400},
        {"a": -(2**63) - 1, "b": 1.5e300},
        {"a": "\\u0000 as a program writes it"},
        {"a": "Grüße, 世界, \U0001f600"},
        {"a": "[" * 1000},
        {"a": [[[{"b": [[]]}]]] * 200},
    ],
)
async def test_json_that_is_taken(plain: httpx2.AsyncClient, value: Any) -> None:
    for ascii_only in (True, False):
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
        answer = await plain.post("/api/v1/things/echo", content=body, headers=JSON)
        assert (answer.status_code, answer.json()) == (200, value)


async def test_the_deepest_json_that_is_taken_can_be_stored_and_read(
    client: httpx2.AsyncClient,
) -> None:
    value: Any = 1
    for _ in range(97):
        value = [value]
    made = await client.post("/api/v1/things", json={"name": "deep", "data": {"a": value}})
    assert made.status_code == 201
    read = await client.get(made.headers["location"])
    assert read.json()["data"] == {"a": value}


async def test_an_integer_beyond_any_column_can_be_stored_in_a_document(
    client: httpx2.AsyncClient,
) -> None:
    data = {"a": 2**63, "b": -(2**63)}
    made = await client.post("/api/v1/things", json={"name": "big", "data": data})
    assert (made.status_code, made.json()["data"]) == (201, data)


# --- dispatch ---------------------------------------------------------------------------------


async def test_each_prefix_leads_to_its_routes() -> None:
    def naming(path: str) -> Any:
        async def name(_: Any) -> PlainTextResponse:
            return PlainTextResponse(path)

        return name

    async def lifespan(*_: Any) -> None:
        lived.append("lifespan")

    async def hello(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    lived: list[str] = []
    paths = ["/", "/health", "/api/v1/agents", "/api/v1/agents/{id}", "/api/v1/agent", "/a/{b}/c"]
    routes = [*(Route(path, naming(path)) for path in paths), WebSocketRoute("/api/v1/live", hello)]
    dispatch = PrefixDispatch(routes, lifespan)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(dispatch), base_url="http://muster.test"
    ) as client:
        for path in ["/", "/health", "/api/v1/agents", "/api/v1/agent"]:
            assert (await client.get(path)).text == path
        assert (await client.get("/api/v1/agents/7")).text == "/api/v1/agents/{id}"
        assert (await client.get("/a/x/c")).text == "/a/{b}/c"
        for path in ("/api/v1", "/api/v1/agentsx", "/b", "/api/v1/agents/", "/a/x"):
            assert (await client.get(path)).status_code == 404
    await dispatch({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert lived == ["lifespan"]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/api/v1/live", "headers": [], "query_string": b""}
    await dispatch(scope, receive, send)
    assert sent == ["websocket.accept", "websocket.send", "websocket.close"]


# --- routers that are imported when they are asked for ----------------------------------------


def lazy(module: str, *segments: str) -> LazyRouter:
    return LazyRouter(module, "router", tuple(f"{BASE}/{segment}" for segment in segments))


def test_routers_that_share_a_prefix_are_loaded_together_and_in_order() -> None:
    a, b, c, d = lazy("a", "one"), lazy("b", "two"), lazy("c", "two", "one"), lazy("d", "three")
    groups = together([a, b, c, d])
    assert groups == {
        f"{BASE}/one": [a, b, c],
        f"{BASE}/two": [a, b, c],
        f"{BASE}/three": [d],
    }


async def test_a_router_is_imported_by_the_first_request_for_one_of_its_paths() -> None:
    app = App(docs=True, cors_origins=[], title="Things", version="1")
    app.mount_when_asked([lazy("tests.kernel.things", "things"), lazy("no.such.module", "others")])
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://muster.test") as client:
        assert (await client.get(f"{BASE}/nothing")).status_code == 404
        assert not app.routes or all("things" not in str(route) for route in app.routes)
        for _ in range(2):
            assert (await client.delete(f"{BASE}/things")).status_code == 405
        assert [r for r in app.routes if getattr(r, "path", "") == f"{BASE}/things"]
    with pytest.raises(ModuleNotFoundError):
        app.operations()


async def test_all_routers_are_imported_for_the_description() -> None:
    app = App(docs=True, cors_origins=[], title="Things", version="1")
    app.mount_when_asked([lazy("tests.kernel.things", "things")])
    assert f"{BASE}/things" in app.openapi()["paths"]
    assert not app.load()
