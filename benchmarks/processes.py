"""Processes that benchmarks start: the product as its users start it, a model server, others."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "a long and quiet river"
_PATIENCE_S = 120.0
_STOP_S = 20.0
_LOOK_S = 0.002


class DidNotAnswer(RuntimeError):
    """A process that was started ended, or did not do what was waited for."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """Return the environment of this process without what configures the product."""
    foreign = ("MUSTER_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "MISTRAL_", "DEEPSEEK_", "GROQ_")
    # Without stored bytecode every start would translate the sources again, as no user's does.
    foreign += ("PYTHONDONTWRITEBYTECODE",)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **more}


@contextmanager
def process(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, pipes: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run a program for as long as the block lasts; what it says goes to `log`."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env) if env is not None else environment(),
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else output,
            stderr=output,
            text=True,
        )
    try:
        yield started
    finally:
        _end(started)


def _end(started: subprocess.Popen[str]) -> None:
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
    for pipe in (started.stdin, started.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Server:
    """A server in a process of its own."""

    def __init__(self, started: subprocess.Popen[str], port: int, log: Path) -> None:
        self._started, self.port, self._log = started, port, log
        self.base_url = f"http://127.0.0.1:{port}"

    def wait_for_answer(self) -> None:
        """Return when `GET /health` was answered; asks again and again, every two milliseconds."""
        deadline = time.monotonic() + _PATIENCE_S
        while not _answers(self.port):
            if self._started.poll() is not None or time.monotonic() > deadline:
                said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise DidNotAnswer(f"{self._started.args} did not answer. It said:\n{said}")
            time.sleep(_LOOK_S)

    def memory_mb(self) -> float:
        """Return the resident memory of the process and its children, in MB."""
        one = psutil.Process(self._started.pid)
        every = [one, *one.children(recursive=True)]
        return sum(member.memory_info().rss for member in every) / 1e6

    def cpu_s(self) -> float:
        """Return the CPU time that the process has used, in seconds."""
        times = psutil.Process(self._started.pid).cpu_times()
        return times.user + times.system


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: muster\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@contextmanager
def muster_server(folder: Path, **settings: str) -> Iterator[Server]:
    """Run `muster serve` on the data in `folder`; it may not answer yet."""
    port, log = free_port(), folder.with_suffix(".log")
    program = Path(sys.executable).with_name("muster")
    command = [str(program), "--data-dir", str(folder), "serve", "--port", str(port)]
    env = environment(MUSTER_ADMIN_PASSWORD=PASSWORD, MUSTER_LOG_LEVEL="WARNING", **settings)
    with process(command, log, env=env) as started:
        yield Server(started, port, log)


@contextmanager
def bare_server(folder: Path) -> Iterator[Server]:
    """Run the smallest FastAPI application; it may not answer yet."""
    port, log = free_port(), folder.with_suffix(".log")
    with process([sys.executable, "-m", "benchmarks.bare_app", str(port)], log) as started:
        yield Server(started, port, log)


@asynccontextmanager
async def model_server_process(folder: Path) -> AsyncIterator["ModelServer"]:
    """Run the scripted model server in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.model_server", "--port", str(port)]
    with process(command, folder / "model-server.log"):
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            server = ModelServer(client, f"http://127.0.0.1:{port}/v1")
            await server.wait()
            yield server


class ModelServer:
    """The scripted model server: what it answers, and what it was asked."""

    def __init__(self, client: httpx2.AsyncClient, base_url: str) -> None:
        self._client, self.base_url = client, base_url

    async def wait(self) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError):
                await self._client.get("/_calls")
                return
            await asyncio.sleep(0.02)
        raise DidNotAnswer("The scripted model server did not answer.")

    async def answer_by_turn(self, replies: list[dict[str, Any]]) -> None:
        """Give every conversation these answers, one for each turn."""
        script = {"select": "turn", "replies": replies}
        (await self._client.post("/_script", json=script)).raise_for_status()
        await self._client.post("/_reset")

    async def bodies(self) -> list[dict[str, Any]]:
        """Return the bodies of what was asked since the script was set."""
        calls = (await self._client.get("/_calls")).json()["calls"]
        return [call["body"] for call in calls]


def answer_of(started: subprocess.Popen[str], log: Path) -> Any:
    """Read one line of JSON that a process prints."""
    assert started.stdout is not None
    line = started.stdout.readline()
    if not line:
        said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise DidNotAnswer(f"{started.args} ended without an answer. It said:\n{said}")
    return json.loads(line)


def tell(started: subprocess.Popen[str], line: str) -> None:
    """Write one line to a process."""
    assert started.stdin is not None
    started.stdin.write(line + "\n")
    started.stdin.flush()
