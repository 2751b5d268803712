"""No module but the guarded client speaks HTTP or opens sockets."""

import ast
from pathlib import Path

import pytest

import muster

CLIENTS = {
    "aiohttp",
    "ftplib",
    "http.client",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "pycurl",
    "requests",
    "socket",
    "urllib.request",
    "urllib3",
    "xmlrpc.client",
}
OPENERS = {"open_connection", "create_connection", "open_unix_connection", "connect_tcp"}


def outgoing(tree: ast.AST) -> set[str]:
    """Return the HTTP clients and socket openers that a module names."""
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Attribute) and node.attr in OPENERS:
            named.add(node.attr)
    return {
        name
        for name in named
        if name in OPENERS or any(f"{name}.".startswith(f"{client}.") for client in CLIENTS)
    }


@pytest.mark.parametrize(
    "code",
    [
        "import httpx2",
        "def f():\n    from httpx2 import AsyncClient",
        "from urllib import request",
        "import urllib.request as r",
        "from http import client",
        "import asyncio\nasync def f():\n    await asyncio.open_connection('a', 1)",
    ],
)
def test_the_search_finds_clients(code: str) -> None:
    assert outgoing(ast.parse(code))


def test_no_other_module_has_an_http_client() -> None:
    root = Path(muster.__file__).parent
    # The SDK runs in the process of an agent and speaks to the platform that its owner named.
    others = {root / "kernel/egress", root / "sdk"}
    modules = [file for file in root.rglob("*.py") if others.isdisjoint(file.parents)]
    assert modules
    found = {
        str(file.relative_to(root)): clients
        for file in modules
        if (clients := outgoing(ast.parse(file.read_text())))
    }
    assert not found
