"""How the client meets servers of an older protocol that misbehave."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muster.adapters.tools.base import ToolFailed
from muster.adapters.tools.mcp import McpPool
from muster.adapters.tools.mcp_configuration import McpConfiguration
from muster.kernel.egress import Egress
from tests.support.echo_server import serve

pytestmark = pytest.mark.anyio


class OldServer:
    """Speaks the session-bound protocol of 2025 by hand."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.opened = 0
        self.calls = 0
        self.pages: dict[str | None, dict[str, Any]] = {None: {"tools": []}}
        self.answer: dict[str, Any] = {"result": {"content": [{"type": "text", "text": "done"}]}}
        self.drop_streams = False
        self.headers: dict[str, str] = {}

    async def handle(self, request: Request) -> Response:
        if request.method != "POST":
            return Response(status_code=405)
        self.headers = dict(request.headers)
        message = await request.json()
        if "id" not in message:
            return Response(status_code=202)
        if message["method"] == "initialize":
            self.opened += 1
            name = f"session-{self.opened}"
            self.sessions.add(name)
            result = {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "old", "version": "0.9"},
            }
            return self.reply(message, {"result": result}, {"mcp-session-id": name})
        if message["method"] == "server/discover":
            error = {"code": -32601, "message": "unknown"}
            return self.reply(message, {"error": error})
        if request.headers.get("mcp-session-id") not in self.sessions:
            return Response(status_code=404)
        if message["method"] == "tools/list":
            page = self.pages[(message.get("params") or {}).get("cursor")]
            return self.reply(message, {"result": page})
        self.calls += 1
        if self.drop_streams:
            return Response(b": nothing\n\n", media_type="text/event-stream")
        return self.reply(message, self.answer)

    @staticmethod
    def reply(
        message: dict[str, Any], answer: dict[str, Any], headers: dict[str, str] | None = None
    ) -> Response:
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], **answer}, headers=headers)


@pytest.fixture
def old() -> OldServer:
    return OldServer()


@pytest.fixture
async def configuration(old: OldServer) -> AsyncIterator[McpConfiguration]:
    app = Starlette(routes=[Route("/mcp", old.handle, methods=["GET", "POST", "DELETE"])])
    async with serve(app) as address:
        yield McpConfiguration.parse({"url": f"{address}/mcp", "headers": {"X-Token": "t0ken"}})


@pytest.fixture
async def pool(egress: Egress) -> AsyncIterator[McpPool]:
    sessions = McpPool(egress)
    yield sessions
    await sessions.aclose()


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}}


async def test_a_session_that_the_server_forgot_is_opened_anew(
    old: OldServer, pool: McpPool, configuration: McpConfiguration
) -> None:
    assert (await pool.call(configuration, "work", {})).content == "done"
    old.sessions.clear()
    assert (await pool.call(configuration, "work", {})).content == "done"
    assert (old.opened, old.calls) == (2, 2)
    assert old.headers["x-token"] == "t0ken"


async def test_a_session_that_is_forgotten_again_and_again_is_given_up(
    old: OldServer, pool: McpPool, configuration: McpConfiguration
) -> None:
    class Forgetful(set[str]):
        def add(self, element: str) -> None:
            """Forgets at once."""

    old.sessions = Forgetful()
    with pytest.raises(ToolFailed, match="ended the connection"):
        await pool.call(configuration, "work", {})
    assert old.opened == 2


async def test_tools_are_read_page_by_page(
    old: OldServer, pool: McpPool, configuration: McpConfiguration
) -> None:
    old.pages = {
        None: {"tools": [tool("a"), tool("b")], "nextCursor": "2"},
        "2": {"tools": [tool("c")], "nextCursor": "3"},
        "3": {"tools": [], "nextCursor": "3"},
    }
    found = await pool.discover(configuration)
    assert [entry["name"] for entry in found["tools"]] == ["a", "b", "c"]
    assert found["server"] == {"name": "old", "version": "0.9", "protocol": "2025-06-18"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"error": {"code": -32602, "message": "SECRET"}}, "does not know the tool"),
        ({"error": {"code": -32601, "message": "SECRET"}}, "does not offer tools"),
        ({"error": {"code": -32099, "message": "SECRET"}}, r"protocol error \(code -32099\)"),
        ({"result": {"content": "SECRET"}}, "breaks the protocol"),
    ],
)
async def test_protocol_errors_get_our_words(
    old: OldServer,
    pool: McpPool,
    configuration: McpConfiguration,
    answer: dict[str, Any],
    expected: str,
) -> None:
    old.answer = answer
    with pytest.raises(ToolFailed, match=expected) as caught:
        await pool.call(configuration, "work", {})
    assert "SECRET" not in str(caught.value)


async def test_a_result_that_breaks_its_own_schema_is_refused(
    old: OldServer, pool: McpPool, configuration: McpConfiguration
) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    old.pages = {None: {"tools": [tool("work") | {"outputSchema": schema}]}}
    old.answer = {"result": {"content": [], "structuredContent": {"n": "many"}}}
    with pytest.raises(ToolFailed, match="its own output schema"):
        await pool.call(configuration, "work", {})


async def test_a_stream_that_ends_without_an_answer_is_a_lost_call(
    old: OldServer, pool: McpPool, configuration: McpConfiguration
) -> None:
    old.drop_streams = True
    with pytest.raises(ToolFailed, match="whether the tool took effect is not known"):
        await pool.call(configuration, "work", {})
    assert old.calls == 1
    old.drop_streams = False
    assert (await pool.call(configuration, "work", {})).content == "done"


async def test_structured_values_beside_pictures_and_large_blobs(
    old: OldServer, pool: McpPool, configuration: McpConfiguration
) -> None:
    picture = {"type": "image", "data": "A" * 8_000_001, "mimeType": "image/png"}
    old.answer = {"result": {"content": [picture], "structuredContent": {"n": 1}}}
    outcome = await pool.call(configuration, "work", {})
    assert outcome.content == [
        {
            "type": "image",
            "mime_type": "image/png",
            "data": None,
            "note": "left out: it is too large",
        },
        {"type": "structured", "value": {"n": 1}},
    ]
