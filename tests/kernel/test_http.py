"""What holds for every request: paths, ids, headers, origins, limits, documentation."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from structlog.testing import capture_logs

from muster.kernel import metrics
from muster.kernel.http.app import MAX_BODY_BYTES
from muster.kernel.http.middleware import canonical
from tests.kernel.things import client_of, make_app

pytestmark = pytest.mark.anyio

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
async def plain() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application whose database nobody asks."""
    async with client_of(make_app(None, "")) as client:  # type: ignore[arg-type]
        yield client


# --- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("/api/v1/things", "/api/v1/things"),
        ("/api/v1/things/", "/api/v1/things"),
        ("/v1/things", "/api/v1/things"),
        ("/v1/things///", "/api/v1/things"),
        ("/v1", "/api/v1"),
        ("/v1/", "/api/v1"),
        ("/v10/things", "/v10/things"),
        ("/", "/"),
        ("///", "/"),
        ("", ""),
    ],
)
def test_paths_have_one_form(given: str, wanted: str) -> None:
    assert canonical(given) == wanted


async def test_the_alias_and_the_trailing_slash_lose_no_body(client: httpx2.AsyncClient) -> None:
    for number, path in enumerate(("/api/v1/things", "/v1/things", "/v1/things/")):
        made = await client.post(path, json={"name": f"{number}"})
        assert (made.status_code, made.json()["name"]) == (201, f"{number}")
    assert (await client.get("/v1/things/")).json()["total"] == 3


async def test_paths_that_lead_nowhere(plain: httpx2.AsyncClient) -> None:
    for path in ("/", "/nothing", "/api/v1", "/api/v1/nothing/", "/api/v2/things", "/things", "//"):
        answer = await plain.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), path


# --- request ids and headers ------------------------------------------------------------------


async def test_a_request_gets_an_id(plain: httpx2.AsyncClient) -> None:
    first, second = [(await plain.get("/nothing")).headers["x-request-id"] for _ in range(2)]
    assert UUID.fullmatch(first)
    assert first != second


@pytest.mark.parametrize("given", ["a", "trace:1.2_3-4", "x" * 128])
async def test_a_given_id_is_kept(plain: httpx2.AsyncClient, given: str) -> None:
    answer = await plain.get("/nothing", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a;b", "é", '"'])
async def test_an_id_that_could_spoil_a_log_is_replaced(
    plain: httpx2.AsyncClient, given: str
) -> None:
    answer = await plain.get("/nothing", headers=[(b"X-Request-Id", given.encode())])
    assert UUID.fullmatch(answer.headers["x-request-id"])


async def test_safe_headers(plain: httpx2.AsyncClient) -> None:
    for path in ("/nothing", "/openapi.json", "/docs"):
        headers = (await plain.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


async def test_requests_are_logged_and_counted(client: httpx2.AsyncClient) -> None:
    def counted() -> bytes:
        wanted = b'muster_http_requests_total{method="GET",route="/api/v1/things/{thing_id}"'
        return b"".join(line for line in metrics.render().splitlines() if line.startswith(wanted))

    before = counted()
    with capture_logs() as logs:
        await client.get("/v1/things/some-id/", headers={"X-Request-Id": "mine"})
        await client.get("/health")
    assert counted() != before
    assert b'status="404"' in counted()
    (entry,) = [entry for entry in logs if entry["event"] == "request"]
    assert entry["path"] == "/api/v1/things/some-id"
    assert (entry["method"], entry["status"], entry["request_id"]) == ("GET", 404, "mine")
    assert entry["duration_ms"] >= 0


# --- methods ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/things", "GET, POST"),
        ("PATCH", "/v1/things/1/", "DELETE, GET, PUT"),
        ("OPTIONS", "/api/v1/things/1", "DELETE, GET, PUT"),
        ("GET", "/api/v1/things/raise/app", "POST"),
    ],
)
async def test_methods_that_a_path_does_not_take(
    plain: httpx2.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await plain.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["error"] == "method_not_allowed"


async def test_head_is_refused_as_any_method_that_is_not_there(plain: httpx2.AsyncClient) -> None:
    answer = await plain.head("/api/v1/things")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


# --- other origins ----------------------------------------------------------------------------

PREFLIGHT = {
    "Origin": "https://console.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "Authorization, X-Project-Id",
}


async def test_pages_of_other_origins_are_refused_by_default(plain: httpx2.AsyncClient) -> None:
    answer = await plain.options("/api/v1/things", headers=PREFLIGHT)
    assert answer.status_code == 405
    answer = await plain.get("/nothing", headers={"Origin": "https://console.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_named_origins_may_call() -> None:
    origin = "https://console.example"
    async with client_of(make_app(None, "", cors_origins=[origin])) as client:  # type: ignore[arg-type]
        before = await client.options("/v1/things", headers=PREFLIGHT)
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == origin
        assert before.headers["access-control-allow-credentials"] == "true"
        assert "x-project-id" in before.headers["access-control-allow-headers"].lower()
        with capture_logs():
            failed = await client.post("/v1/things/fail", headers={"Origin": origin})
        assert failed.status_code == 500
        assert failed.headers["access-control-allow-origin"] == origin
        assert "X-Request-Id" in failed.headers["access-control-expose-headers"]
        other = await client.options(
            "/v1/things", headers=PREFLIGHT | {"Origin": "https://evil.example"}
        )
        assert other.status_code == 400
        assert "access-control-allow-origin" not in other.headers


async def test_any_origin_means_no_credentials() -> None:
    async with client_of(make_app(None, "", cors_origins=["*"])) as client:  # type: ignore[arg-type]
        answer = await client.get("/nothing", headers={"Origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


# --- large bodies -----------------------------------------------------------------------------


async def test_a_body_that_is_too_large(plain: httpx2.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 2**20 + 1):
            yield b" " * 2**20

    json_type = {"Content-Type": "application/json"}
    for content in (b" " * (MAX_BODY_BYTES + 1), parts()):
        answer = await plain.post("/api/v1/things/echo", content=content, headers=json_type)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["error"] == "payload_too_large"
        assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_a_body_just_below_the_limit(plain: httpx2.AsyncClient) -> None:
    text = "x" * (MAX_BODY_BYTES - 20)
    answer = await plain.post("/api/v1/things/echo", json={"a": text})
    assert answer.status_code == 200


# --- documentation ----------------------------------------------------------------------------

PAGES = ["/docs", "/redoc", "/api-docs", "/api-redoc"]


@pytest.mark.parametrize("path", PAGES)
async def test_the_pages_need_nothing_of_other_hosts(plain: httpx2.AsyncClient, path: str) -> None:
    page = await plain.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    links = re.findall(r'(?:src|href|data-source)="([^"]*)"', page.text)
    assert links.pop(0) == "data:,"
    assert len(links) >= 3
    for link in links:
        assert re.fullmatch(r"/[a-z][\w./-]*", link)
        found = await plain.get(link)
        assert found.status_code == 200
        assert len(found.content) > 300
    assert "//" not in page.text.replace("<!doctype", "")
    # No script in the page itself: the policy would refuse it.
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page.text) == ["", ""]
    assert "onload" not in page.text
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert not re.search(r"https?:|\*", page.headers["content-security-policy"])


async def test_pages_and_files_have_their_types(plain: httpx2.AsyncClient) -> None:
    script = await plain.get("/docs/assets/start.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "max-age" in script.headers["cache-control"]
    assert "http" not in script.text
    style = await plain.get("/docs/assets/swagger-ui.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "url(http" not in style.text
    again = await plain.get(
        "/docs/assets/start.js", headers={"If-None-Match": script.headers["etag"]}
    )
    assert again.status_code in {200, 304}
    for name in ("other.js", "..%2Fapp.py", "__init__.py"):
        missing = await plain.get(f"/docs/assets/{name}")
        assert (missing.status_code, missing.json()["error"]) == (404, "not_found")


async def test_the_title_cannot_break_the_page(plain: httpx2.AsyncClient) -> None:
    page = await plain.get("/docs")
    assert "<title>Things &amp; &lt;more&gt;: API reference</title>" in page.text


async def test_the_document_is_served_under_both_names(plain: httpx2.AsyncClient) -> None:
    first = await plain.get("/openapi.json")
    second = await plain.get("/api-openapi.json")
    assert first.json() == second.json()
    assert first.headers["content-type"] == "application/json"


async def test_documentation_can_be_off() -> None:
    async with client_of(make_app(None, "", docs=False)) as client:  # type: ignore[arg-type]
        for path in (*PAGES, "/openapi.json", "/api-openapi.json", "/docs/assets/start.js"):
            assert (await client.get(path)).status_code == 404


def test_what_the_document_says_of_an_operation() -> None:
    document = make_app(None, "").openapi()  # type: ignore[arg-type]
    made = document["paths"]["/api/v1/things"]["post"]
    assert made["x-required-scope"] == "agents:write or agents:register"
    assert made["security"] == [{"bearer": []}]
    assert {p["name"] for p in made["parameters"]} == {"X-Project-Id", "Idempotency-Key"}
    assert set(made["responses"]) == {"201", "400", "401", "403", "404", "413", "422"}
    problem = {"$ref": "#/components/schemas/Problem"}
    assert made["responses"]["422"]["content"]["application/problem+json"]["schema"] == problem
    listed = document["paths"]["/api/v1/things"]["get"]
    assert "Idempotency-Key" not in {p["name"] for p in listed["parameters"]}
    open_to_all = document["paths"]["/api/v1/things/log-in"]["post"]
    assert "security" not in open_to_all
    found = document["paths"]["/api/v1/things/{thing_id}"]["get"]["parameters"]
    assert [p["description"] for p in found if p["in"] == "path"] == ["Id of the thing."]
    schemas = document["components"]["schemas"]
    assert {"ThingCursorPage", "Problem", "FieldProblem", "ValidationItem"} <= set(schemas)
    assert not {"HTTPValidationError", "ValidationError"} & set(schemas)
    assert not [name for name in schemas if name.endswith("_")]
    assert "ThingCursorPage" in json.dumps(listed["responses"]["200"])


def test_the_document_is_built_once() -> None:
    app: Any = make_app(None, "")  # type: ignore[arg-type]
    assert app.openapi() is app.openapi()


def test_operations_are_those_of_the_api() -> None:
    paths = {route.path for route in make_app(None, "").operations()}  # type: ignore[arg-type]
    assert "/api/v1/things/{thing_id}" in paths
    assert "/docs" not in paths


# --- what is no request -----------------------------------------------------------------------


async def test_sockets_and_the_life_of_the_process_pass_through() -> None:
    async def hello(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.url.path)
        await socket.close()

    app = make_app(None, "")  # type: ignore[arg-type]
    app.router.routes.append(WebSocketRoute("/api/v1/live", hello))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return incoming.pop(0)

    incoming = [{"type": "websocket.connect"}]
    headers = [(b"host", b"muster.test")]
    socket = {"type": "websocket", "path": "/v1/live/", "query_string": b"", "headers": headers}
    await app(socket, receive, send)
    assert [message["type"] for message in sent] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert sent[1]["text"] == "/api/v1/live"
    sent.clear()
    incoming += [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    await app({"type": "lifespan", "state": {}}, receive, send)
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
