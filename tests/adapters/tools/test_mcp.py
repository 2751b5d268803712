"""Sessions with real MCP servers, as child processes and over streamable HTTP."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from muster.adapters.tools.base import ToolConfigurationInvalid, ToolFailed, ToolTimeout
from muster.adapters.tools.mcp import McpPool, TooManyMcpSessions
from muster.adapters.tools.mcp_configuration import McpConfiguration
from muster.kernel.egress import AddressRefused, Egress, EgressPolicy

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
SERVER = ["-m", "tests.support.mcp_server"]


def stdio(**changes: Any) -> McpConfiguration:
    given = {"command": sys.executable, "args": [*SERVER, "stdio"], "cwd": str(ROOT)}
    return McpConfiguration.parse(given | changes)


def script(code: str, **changes: Any) -> McpConfiguration:
    return stdio(args=["-c", code], **changes)


async def eventually(check: Callable[[], bool | Awaitable[bool]], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result if isinstance(result, bool) else await result:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def http_server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *SERVER, "http", str(port)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 20
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def http_url() -> Iterator[str]:
    port = free_port()
    with http_server(port):
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.fixture
async def pool(egress: Egress) -> AsyncIterator[McpPool]:
    sessions = McpPool(egress)
    yield sessions
    await sessions.aclose()


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest) -> McpConfiguration:
    if request.param == "stdio":
        return stdio()
    return McpConfiguration.parse({"url": request.getfixturevalue("http_url")})


async def test_discover_lists_the_tools(pool: McpPool, server: McpConfiguration) -> None:
    found = await pool.discover(server)

    assert found["server"]["name"] == "workbench"
    assert found["server"]["version"] == "1.2.3"
    assert found["server"]["protocol"]
    tools = {tool["name"]: tool for tool in found["tools"]}
    assert tools["add"]["description"] == "Add two numbers."
    assert set(tools["add"]["input_schema"]["properties"]) == {"a", "b"}
    assert tools["add"]["annotations"] == {"read_only_hint": True}
    assert tools["echo"]["annotations"] == {}


async def test_results_of_every_kind(pool: McpPool, server: McpConfiguration) -> None:
    added = await pool.call(server, "add", {"a": 2, "b": 3})
    assert added.content == {"result": 5}
    assert added.properties["structured"] is True

    said = await pool.call(server, "echo", {"text": "Grüße"})
    assert (said.content, said.is_error) == ("Grüße", False)

    failed = await pool.call(server, "fail", {})
    assert failed.is_error
    assert isinstance(failed.content, str)
    assert "on fire" in failed.content

    blocks = (await pool.call(server, "gallery", {})).content
    assert [block["type"] for block in blocks] == [
        "text", "image", "audio", "resource_link", "resource", "resource",
    ]  # fmt: skip
    assert blocks[1] == {"type": "image", "mime_type": "image/png", "data": "iVBORw=="}
    assert blocks[4]["text"] == "inside"
    assert blocks[5]["data"] == "iVBORw=="


async def test_unknown_tool_and_wrong_arguments_are_told(
    pool: McpPool, server: McpConfiguration
) -> None:
    async def told(name: str, arguments: dict[str, Any]) -> str:
        try:
            outcome = await pool.call(server, name, arguments)
        except ToolFailed as error:
            return error.detail
        return outcome.content if outcome.is_error else "no fault at all"

    assert "tool" in await told("nothing", {})
    assert "tool" in await told("add", {"a": "x"})


async def test_a_session_is_shared_and_survives_a_cancelled_call(
    pool: McpPool, server: McpConfiguration
) -> None:
    before = (await pool.call(server, "pid", {})).content
    name = f"cancelled-{time.monotonic()}"
    call = asyncio.create_task(pool.call(server, "slow", {"seconds": 60, "name": name}))
    other = asyncio.create_task(pool.call(server, "slow", {"seconds": 1}))
    await asyncio.sleep(0.3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    async def told() -> bool:
        return name in (await pool.call(server, "was_cancelled", {})).content["result"]

    await eventually(told)
    assert (await other).content == "done"
    assert (await pool.call(server, "pid", {})).content == before


async def test_a_call_that_takes_too_long_is_given_up(
    pool: McpPool, server: McpConfiguration
) -> None:
    with pytest.raises(ToolTimeout, match=r"within 0\.3 seconds"):
        await pool.call(server, "slow", {"seconds": 60}, timeout_s=0.3)
    assert (await pool.call(server, "add", {"a": 1, "b": 1})).content == {"result": 2}


async def test_calls_run_side_by_side(pool: McpPool, server: McpConfiguration) -> None:
    await pool.call(server, "add", {"a": 1, "b": 1})
    calls = [pool.call(server, "echo", {"text": str(number)}) for number in range(20)]
    outcomes = await asyncio.gather(*calls)
    assert [outcome.content for outcome in outcomes] == [str(number) for number in range(20)]


async def test_partitions_and_configurations_do_not_share_a_process(pool: McpPool) -> None:
    one = (await pool.call(stdio(), "pid", {}, partition="a")).content
    two = (await pool.call(stdio(), "pid", {}, partition="b")).content
    three = (await pool.call(stdio(env={"X": "1"}), "pid", {}, partition="a")).content
    again = (await pool.call(stdio(), "pid", {}, partition="a")).content
    assert one == again
    assert len({one["result"], two["result"], three["result"]}) == 3


async def test_a_server_that_dies_in_a_call_is_not_called_again(pool: McpPool) -> None:
    configuration = stdio(env={"TOKEN": "s3cret-value"})
    before = (await pool.call(configuration, "pid", {})).content["result"]
    with pytest.raises(ToolFailed, match="whether the tool took effect is not known") as caught:
        await pool.call(configuration, "die", {})
    assert "last words of ***" in caught.value.detail
    assert "s3cret-value" not in caught.value.detail + str(caught.value.details)

    after = (await pool.call(configuration, "pid", {})).content["result"]
    assert after != before


async def test_an_idempotent_tool_is_called_again_once(pool: McpPool) -> None:
    with pytest.raises(ToolFailed, match="ended the connection"):
        await pool.call(stdio(), "die", {}, idempotent=True)


async def test_a_server_that_died_between_calls_is_started_anew(pool: McpPool) -> None:
    before = (await pool.call(stdio(), "pid", {})).content["result"]
    os.kill(before, 9)
    # Not only is it dead, the pool has seen that: before, a call might still be sent to it.
    await eventually(lambda: not any(session.alive for session in pool._sessions.values()))
    after = (await pool.call(stdio(), "pid", {})).content["result"]
    assert after != before


async def test_an_http_server_that_restarted_is_connected_anew(pool: McpPool) -> None:
    port = free_port()
    configuration = McpConfiguration.parse({"url": f"http://127.0.0.1:{port}/mcp"})
    with http_server(port) as process:
        assert (await pool.call(configuration, "pid", {})).content["result"] == process.pid
    with pytest.raises(ToolFailed):
        await pool.call(configuration, "pid", {})
    with http_server(port) as process:
        assert (await pool.call(configuration, "pid", {})).content["result"] == process.pid


async def test_closing_ends_the_server_and_its_children(egress: Egress) -> None:
    pool = McpPool(egress)
    server = (await pool.call(stdio(), "pid", {})).content["result"]
    child = (await pool.call(stdio(), "spawn", {})).content["result"]
    assert running(server)
    assert running(child)
    await pool.aclose()
    await eventually(lambda: not running(server) and not running(child))


async def test_a_server_that_ignores_its_end_is_killed(egress: Egress, tmp_path: Path) -> None:
    pool = McpPool(egress, connect_timeout_s=1)
    note = tmp_path / "pid"
    code = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(note)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(300)"
    )
    with pytest.raises(ToolTimeout, match="handshake"):
        await pool.call(script(code), "pid", {})
    await pool.aclose()
    pid = int(note.read_text())
    await eventually(lambda: not running(pid))


async def test_the_environment_is_minimal(pool: McpPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_SECRET_KEY", "never")
    names = (await pool.call(stdio(env={"GIVEN": "1"}), "environment", {})).content.split()
    assert "GIVEN" in names
    assert "PATH" in names
    assert set(names) <= {"GIVEN", "HOME", "LANG", "LC_CTYPE", "PATH"}


async def test_an_idle_session_ends_and_comes_back(egress: Egress) -> None:
    pool = McpPool(egress, idle_timeout_s=0.3)
    # Longer than the idle time: a call in flight keeps its session.
    assert (await pool.call(stdio(), "slow", {"seconds": 1})).content == "done"
    first = (await pool.call(stdio(), "pid", {})).content["result"]
    await eventually(lambda: not running(first))
    assert (await pool.call(stdio(), "pid", {})).content["result"] != first
    await pool.aclose()


async def test_the_number_of_sessions_is_bounded(egress: Egress) -> None:
    pool = McpPool(egress, max_sessions=1)
    first = (await pool.call(stdio(), "pid", {}, partition="a")).content["result"]
    second = (await pool.call(stdio(), "pid", {}, partition="b")).content["result"]
    await eventually(lambda: not running(first))
    busy = asyncio.create_task(pool.call(stdio(), "slow", {"seconds": 60}, partition="b"))
    await asyncio.sleep(0.1)
    with pytest.raises(TooManyMcpSessions, match="in use"):
        await pool.call(stdio(), "pid", {}, partition="c")
    assert running(second)
    busy.cancel()
    with suppress(asyncio.CancelledError):
        await busy
    await pool.aclose()


async def test_closing_ends_calls_in_flight(egress: Egress) -> None:
    pool = McpPool(egress)
    await pool.call(stdio(), "pid", {})
    call = asyncio.create_task(pool.call(stdio(), "slow", {"seconds": 60}))
    await asyncio.sleep(0.2)
    await pool.aclose()
    with pytest.raises(ToolFailed, match="ended the connection"):
        await call


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (stdio(command="/nowhere/program"), "'program' could not be started: No such file"),
        (script("import sys; sys.exit('broken by design')"), "error output ends with: broken"),
        (script("print('hello')"), "does not speak the protocol"),
    ],
)
async def test_servers_that_cannot_be_started(
    pool: McpPool, configuration: McpConfiguration, expected: str
) -> None:
    with pytest.raises(ToolFailed, match=expected):
        await pool.discover(configuration)


async def test_banners_on_the_output_are_passed_over(pool: McpPool) -> None:
    code = (
        "print('Welcome!', flush=True); print('', flush=True)\n"
        "import sys; sys.argv = ['x', 'stdio']\n"
        "from tests.support.mcp_server import main; main()"
    )
    assert (await pool.call(script(code), "add", {"a": 1, "b": 2})).content == {"result": 3}


async def test_addresses_that_are_refused_or_dead(pool: McpPool, base_url: str) -> None:
    closed = Egress(EgressPolicy())
    guarded = McpPool(closed)
    url = f"{base_url}/mcp"
    with pytest.raises(AddressRefused):
        await guarded.discover(McpConfiguration.parse({"url": url}))
    await guarded.aclose()
    await closed.aclose()
    with pytest.raises(ToolFailed):
        await pool.discover(McpConfiguration.parse({"url": f"http://127.0.0.1:{free_port()}/"}))
    with pytest.raises(ToolFailed):
        await pool.discover(McpConfiguration.parse({"url": f"{base_url}/status/500"}))


async def test_a_trusted_address_passes_the_guard(http_url: str) -> None:
    closed = Egress(EgressPolicy())
    pool = McpPool(closed)
    configuration = McpConfiguration.parse({"url": http_url, "headers": {"X-Key": "k"}})
    outcome = await pool.call(configuration, "add", {"a": 1, "b": 1}, trusted=True)
    assert outcome.content == {"result": 2}
    await pool.aclose()
    await closed.aclose()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "needs 'url'"),
        ({"command": "x", "url": "http://x"}, "no 'url'"),
        ({"transport": "http", "command": "x", "url": "http://x"}, "no 'command'"),
        ({"transport": "sse", "url": "http://x"}, "transport"),
        ({"url": "http://x", "headers": {"X": "a\r\nb"}}, "cannot be sent"),
        ({"url": "http://x", "headers": {"Host": "other"}}, "cannot be sent"),
        ({"command": "a\x00b"}, "null characters"),
        ({"command": "x", "colour": "red"}, "colour"),
    ],
)
def test_faulty_configurations_are_named(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ToolConfigurationInvalid, match=expected):
        McpConfiguration.parse(given)


def test_other_names_of_the_transport() -> None:
    given = {"transport": "streamable-http", "url": "http://x/mcp?key=hidden"}
    configuration = McpConfiguration.parse(given)
    assert configuration.transport == "http"
    assert configuration.label == "The MCP server at http://x/mcp"
    assert configuration.key("a") != configuration.key("b")
