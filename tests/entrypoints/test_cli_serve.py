"""`muster serve` and `muster worker`, as processes."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.entrypoints.conftest import EMAIL, PASSWORD, Local
from tests.entrypoints.program import MUSTER, Program, program, until
from tests.support.model_scripts import Reply, Script
from tests.support.model_server import ScriptedServer

pytestmark = pytest.mark.durability

_ADDRESS = re.compile(r"Muster \S+ at (http://\S+)")


def address(server: Program) -> str:
    server.wait_for("Ctrl-C stops it")
    found = _ADDRESS.search(server.said)
    assert found is not None
    return found[1]


@contextmanager
def signed_in(url: str, password: str = PASSWORD) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{url}/api/v1", timeout=60) as client:
        tokens = client.post("/auth/login", json={"email": EMAIL, "password": password}).json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        yield client


def refused(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MUSTER, "--data-dir", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_first_start_makes_the_superadmin_and_a_signal_ends_it(
    empty: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MUSTER_ADMIN_PASSWORD")
    with program("--data-dir", str(empty.folder), "serve", "--port", "0") as server:
        url = address(server)
        assert server.said.count("The superadmin of this installation") == 1
        password = re.search(r"Password  (\S+)", server.said)
        assert password is not None
        with signed_in(url, password[1]) as client:
            assert client.get("/auth/me").json()["email"] == EMAIL
            assert client.get(f"{url}/docs").status_code == 200

        second = refused(empty.folder, "serve", "--port", "0")
        assert second.returncode == 1
        assert f"A server (process {server.process.pid}) uses the data folder" in second.stderr

        third = refused(empty.folder.parent / "other", "serve", "--port", url.rsplit(":", 1)[1])
        assert third.returncode == 1
        assert "Cannot listen on 127.0.0.1" in third.stderr
        assert "in use" in third.stderr
        assert not (empty.folder.parent / "other").exists()

        worker = refused(empty.folder, "worker")
        assert worker.returncode == 1
        assert "workers are for PostgreSQL" in worker.stderr

        found = {f["name"]: f for f in json.loads(empty.call("doctor", "--json").stdout)}
        assert found["server"]["text"] == f"a server is up (process {server.process.pid})"
        assert str(server.process.pid) in found["engine"]["text"]

        server.signal(signal.SIGTERM)
        assert server.code() == 0
        assert "Stopping." in server.said
        assert "Traceback" not in server.said


def test_a_public_address_counts_for_the_rules(
    empty: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_REGISTRATION", "open")
    result = empty.call("serve", "--host", "0.0.0.0", "--port", "0")
    assert result.exit_code == 2
    assert "MUSTER_HOST=0.0.0.0" in result.stderr
    assert not empty.folder.exists()


def test_a_taken_port_is_told(empty: Local) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = empty.call("serve", "--port", str(other.getsockname()[1]))
    assert result.exit_code == 1
    assert "Choose another port with --port" in result.stderr


def test_a_wrong_master_key_ends_the_start(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    (local.folder / "master.key").write_text("no key")
    result = local.call("serve", "--port", "0")
    assert result.exit_code == 2
    assert "base64" in result.stderr


def test_runs_in_flight_outlive_a_server_that_is_killed_and_one_that_is_stopped(
    local: Local, scripted: ScriptedServer, tmp_path: Path
) -> None:
    calculate = Reply(tool_calls=[{"name": "calculator", "arguments": {"expression": "6*7"}}])
    hang, done = Reply(hang=True), Reply(text="It is 42.")
    scripted.script = Script(select="call", replies=[calculate, hang, hang, done])
    file = tmp_path / "slow.yaml"
    file.write_text(
        "name: Slow\nkey: slow\nllm: openai/scripted-large\ntools: [calculator]\n"
        "prompt: Calculate.\n"
    )
    local.ok("agents", "import", str(file))
    arguments = ("--data-dir", str(local.folder), "serve", "--port", "0")
    with program(*arguments) as server, signed_in(address(server)) as client:
        run = client.post("/executions", json={"agent_id": "slow"}).json()["execution_id"]
        until(lambda: scripted.count == 2, "the second call of the model")
        server.kill()
    with program(*arguments) as server:
        server.wait_for("1 run of a process that is gone: they go on where they stopped")
        until(lambda: scripted.count == 3, "the second call again")
        server.signal(signal.SIGINT)
        assert server.code() == 0
        assert "1 run in flight: kept for the next start" in server.said
    with program("--data-dir", str(local.folder), "worker") as worker:
        worker.wait_for("no server can use the folder meanwhile")
        until(lambda: scripted.count == 4, "the last call")
        shown = ["runs", "show", run, "--json"]
        until(lambda: json.loads(local.ok(*shown))["status"] == "completed", "the end of the run")
        second = refused(local.folder, "serve", "--port", "0")
        assert "A worker (process" in second.stderr
        worker.signal(signal.SIGTERM)
        assert worker.code() == 0
    assert json.loads(local.ok(*shown))["result"] == "It is 42."


@contextmanager
def engine_kept_from_starting(folder: Path) -> Iterator[None]:
    """Hold the engine's tables: its start waits, for at most half a minute, until this ends."""
    with sqlite3.connect(folder / "engine.db", isolation_level=None) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    other.close()


def health(url: str) -> dict[str, Any] | None:
    try:
        return dict(httpx2.get(f"{url}/health").raise_for_status().json())
    except httpx2.TransportError:
        return None


def free_url() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_what_needs_the_engine_waits_for_its_start_and_nothing_else_does(
    local: Local, scripted: ScriptedServer, tmp_path: Path
) -> None:
    file = tmp_path / "quick.yaml"
    file.write_text("name: Quick\nkey: quick\nllm: openai/scripted-large\nprompt: Hello\n")
    local.ok("agents", "import", str(file))
    url = free_url()
    arguments = ("--data-dir", str(local.folder), "serve", "--port", url.rsplit(":", 1)[1])
    with program(*arguments) as server, ThreadPoolExecutor() as threads, ExitStack() as stack:
        with engine_kept_from_starting(local.folder):
            until(lambda: health(url), "an answer")
            assert (health(url) or {})["status"] == "healthy"
            client = stack.enter_context(signed_in(url))
            launch = threads.submit(client.post, "/executions", json={"agent_id": "quick"})
            waiting = "/executions?status=pending"
            until(lambda: client.get(waiting).json()["total"] == 1, "the run")
            assert not launch.done()
            assert "Ctrl-C stops it" not in server.said
        run = launch.result().json()["execution_id"]
        server.wait_for("Ctrl-C stops it")
        shown = ["runs", "show", run, "--json"]
        until(lambda: json.loads(local.ok(*shown))["status"] == "completed", "the end of the run")
        server.signal(signal.SIGTERM)
        assert server.code() == 0


def test_a_signal_during_the_start_ends_it_in_order(local: Local) -> None:
    url = free_url()
    arguments = ("--data-dir", str(local.folder), "serve", "--port", url.rsplit(":", 1)[1])
    with program(*arguments) as server:
        with engine_kept_from_starting(local.folder):
            until(lambda: health(url), "an answer")
            server.signal(signal.SIGTERM)
        assert server.code() == 0
        assert "Traceback" not in server.said
    with sqlite3.connect(local.folder / "muster.db") as database:
        assert database.execute("SELECT 1 FROM executors WHERE stopped_at IS NULL").fetchall() == []


def test_a_run_beside_a_server_is_executed_in_its_own_process(
    local: Local, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.script = Script(rounds=0, text="Done here.")
    file = tmp_path / "quick.yaml"
    file.write_text("name: Quick\nkey: quick\nllm: openai/scripted-large\nprompt: Hello\n")
    arguments = ("--data-dir", str(local.folder), "serve", "--port", "0")
    # The server knows no provider: only the process of the command can call this model.
    with program(*arguments, OPENAI_API_KEY="", OPENAI_BASE_URL="") as server:
        address(server)
        assert local.run(str(file))["result"] == "Done here."
        server.signal(signal.SIGTERM)
        assert server.code() == 0


def test_a_worker_needs_a_database(empty: Local) -> None:
    result = empty.call("worker")
    assert result.exit_code == 1
    assert "`muster serve` makes it" in result.stderr
