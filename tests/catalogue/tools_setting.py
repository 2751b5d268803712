"""What the tests of tools share: a real web server, a real MCP server, and short words."""

import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.echo_server import EchoServer, serve
from tests.support.people import People

ROOT = Path(__file__).parents[2]
MCP_SERVER = ["-m", "tests.support.mcp_server"]
STDIO = {
    "transport": "stdio",
    "command": sys.executable,
    "args": [*MCP_SERVER, "stdio"],
    "cwd": str(ROOT),
}
COUNT_WORDS = '''def run(text: str, unit: str = "words") -> dict:
    """Count the words or letters of a text."""
    print("counting")
    return {"count": len(text.split()) if unit == "words" else len(text)}
'''
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "2"},
    "paths": {
        "/items/{item}": {
            "get": {
                "operationId": "getItem",
                "summary": "Get one item",
                "parameters": [
                    {"name": "item", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
            },
            "put": {
                "operationId": "putItem",
                "parameters": [
                    {"name": "item", "in": "path", "required": True, "schema": {"type": "nope"}}
                ],
            },
        },
        "/items": {
            "post": {
                "operationId": "add item",
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"name": {"type": "string"}},
                            }
                        }
                    }
                },
            }
        },
    },
}


@pytest.fixture
def echo() -> EchoServer:
    return EchoServer()


@pytest.fixture
async def base_url(echo: EchoServer) -> AsyncIterator[str]:
    async with serve(echo.app) as address:
        yield address


@pytest.fixture(scope="session")
def mcp_url() -> Iterator[str]:
    """The address of an MCP server that runs for the whole session."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, *MCP_SERVER, "http", str(port)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 30
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


async def made(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Define a tool and return it."""
    answer = await client.post("/tools", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def custom(people: People, url: str, **fields: Any) -> dict[str, Any]:
    """Define a tool of kind custom that calls an address."""
    given = {
        "name": "Custom Search Tool",
        "description": "A tool for searching specific databases",
        "tool_type": "custom",
        "configuration": {"api_endpoint": url, "parameters": {}},
    }
    return await made(people.editor, **(given | fields))


async def tried(client: httpx2.AsyncClient, tool: str, **body: Any) -> dict[str, Any]:
    """Call a tool and return what came of it."""
    answer = await client.post(f"/tools/{tool}/test", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(client: httpx2.AsyncClient, **fields: Any) -> tuple[int, str, str]:
    """Try to define a tool; return the status, the code and the message of the refusal."""
    given = {"name": "refused", "tool_type": "custom", "configuration": {}}
    answer = await client.post("/tools", json=given | fields)
    body = answer.json()
    assert answer.status_code >= 400, body
    return answer.status_code, body["error"], body["message"]
