"""Servers of the Model Context Protocol as tools, and who may have commands started for them."""

import httpx2
import pytest

from muster.kernel.settings import Settings, ToolsSettings
from tests.catalogue.tools_setting import STDIO, made, mcp_url, tried
from tests.support.people import People

__all__ = ["mcp_url"]

pytestmark = pytest.mark.anyio


async def test_the_tools_of_an_mcp_server_are_functions(people: People, mcp_url: str) -> None:
    tool = await made(
        people.editor,
        name="bench",
        tool_type="mcp",
        configuration={"url": mcp_url, "tools": ["add", "fail"]},
    )

    result = await tried(people.operator, "bench", function="add", arguments={"a": 2, "b": 3})
    failed = await tried(people.operator, "bench__fail")

    assert tool["configuration"]["info"]["server"]["name"] == "workbench"
    assert {f["name"] for f in tool["functions"] if f["offered"]} == {"add", "fail"}
    assert result["content"] == {"result": 5}
    assert failed["is_error"] is True


async def test_a_server_that_is_away_is_looked_at_later(people: People, mcp_url: str) -> None:
    tool = await made(
        people.editor, name="bench", tool_type="mcp", configuration={"url": "http://127.0.0.1:9"}
    )
    looked = await tried(people.editor, "bench")
    status = (await people.viewer.get("/tools/bench")).json()["configuration_status"]

    changed = await people.editor.patch("/tools/bench", json={"configuration": {"url": mcp_url}})

    assert tool["functions"] is None
    assert "127.0.0.1:9" in tool["configuration"]["info"]["problem"]
    assert looked["ok"] is False
    assert looked["error"]["message"] == tool["configuration"]["info"]["problem"]
    assert status["is_ready"] is False
    assert "has no functions" in status["issues"][0]
    assert "add" in {f["name"] for f in changed.json()["functions"]}


async def test_an_mcp_server_is_discovered_without_saving(people: People, mcp_url: str) -> None:
    answer = await people.editor.post(
        "/tools/mcp/discover", json={"transport": "streamable-http", "url": mcp_url}
    )

    found = answer.json()
    assert found["server"]["name"] == "workbench"
    assert "add" in {tool["name"] for tool in found["tools"]}
    assert (await people.viewer.get("/tools", params={"kind": "mcp"})).json()["total"] == 0


async def test_discovering_nothing_says_so(people: People) -> None:
    gone = await people.editor.post("/tools/mcp/discover", json={"url": "http://127.0.0.1:9/mcp"})
    unfit = await people.editor.post("/tools/mcp/discover", json={"nonsense": 1})

    assert (gone.status_code, gone.json()["error"]) == (502, "tool_failed")
    assert (unfit.status_code, unfit.json()["error"]) == (422, "tool_configuration_invalid")


async def stdio_statuses(client: httpx2.AsyncClient) -> list[tuple[int, str]]:
    body = {"name": "bench", "tool_type": "mcp", "configuration": STDIO}
    answers = [
        await client.post("/tools", json=body),
        await client.post("/tools/mcp/discover", json=STDIO),
        await client.post("/tools/mcp/discover", json={"command": "sh", "url": "http://x"}),
    ]
    return [(answer.status_code, answer.json()["error"]) for answer in answers]


async def test_only_superadmins_have_commands_started(people: People) -> None:
    refusal = (403, "mcp_stdio_refused")
    assert await stdio_statuses(people.admin) == [refusal] * 3
    assert await stdio_statuses(people.editor) == [refusal] * 3

    tool = await made(people.superadmin, name="bench", tool_type="mcp", configuration=STDIO)
    found = await people.superadmin.post("/tools/mcp/discover", json=STDIO)
    result = await tried(people.superadmin, "bench", function="add", arguments={"a": 1, "b": 1})

    assert "add" in {f["name"] for f in tool["functions"]}
    assert found.status_code == 200
    assert result["content"] == {"result": 2}
    body = {"function": "add", "arguments": {"a": 1, "b": 1}}
    tested = await people.editor.post("/tools/bench/test", json=body)
    args = {**STDIO, "args": ["-c", "pass"]}
    changed = await people.editor.patch("/tools/bench", json={"configuration": args})
    described = await people.editor.patch("/tools/bench", json={"description": "Adds"})
    assert (tested.status_code, changed.status_code) == (403, 403)
    assert described.status_code == 200
    assert described.json()["configuration"] == tool["configuration"]


class TestWithoutStdio:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"tools": ToolsSettings(mcp_stdio="off")})

    async def test_nobody_has_commands_started(self, people: People) -> None:
        statuses = await stdio_statuses(people.superadmin)

        assert statuses == [(403, "mcp_stdio_refused")] * 3
