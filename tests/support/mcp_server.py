"""A real MCP server for tests: `python -m tests.support.mcp_server stdio` or `... http PORT`."""

import asyncio
import base64
import os
import subprocess
import sys

import mcp_types as types
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("workbench", version="1.2.3")
cancelled: list[str] = []


@server.tool(annotations=types.ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(structured_output=False)
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool(structured_output=False)
async def slow(seconds: float, name: str = "") -> str:
    """Take a while."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        cancelled.append(name)
        raise
    return "done"


@server.tool()
def was_cancelled() -> list[str]:
    """Names of the slow calls that were given up."""
    return cancelled


@server.tool()
def fail() -> str:
    """Report a failure."""
    raise ToolError("the workbench is on fire")


@server.tool()
def die() -> str:
    """End the server at once."""
    print(f"last words of {os.environ.get('TOKEN', 'nobody')}", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
def pid() -> int:
    """The process that answers."""
    return os.getpid()


@server.tool(structured_output=False)
def environment() -> str:
    """Names of the variables that the server sees."""
    return " ".join(sorted(os.environ))


@server.tool()
def spawn() -> int:
    """Start a process that would outlive the server."""
    return subprocess.Popen(["sleep", "300"]).pid


@server.tool(structured_output=False)
def gallery() -> list[types.ContentBlock]:
    """One block of every kind."""
    data = base64.b64encode(b"\x89PNG").decode()
    return [
        types.TextContent(type="text", text="look"),
        types.ImageContent(type="image", data=data, mime_type="image/png"),
        types.AudioContent(type="audio", data=data, mime_type="audio/wav"),
        types.ResourceLink(type="resource_link", uri="file:///a.txt", name="a"),
        types.EmbeddedResource(
            type="resource",
            resource=types.TextResourceContents(
                uri="file:///b.txt", text="inside", mime_type="text/plain"
            ),
        ),
        types.EmbeddedResource(
            type="resource",
            resource=types.BlobResourceContents(uri="file:///c.bin", blob=data),
        ),
    ]


def main() -> None:
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        import uvicorn

        app = server.streamable_http_app()
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", ws="none")


if __name__ == "__main__":
    main()
