"""Installations for the command line: made once, copied for each test, called in this process."""

import asyncio
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from muster.entrypoints.cli.main import app
from tests.support.model_scripts import Script
from tests.support.model_server import ScriptedServer, served

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "examples" / "agents" / "document-analyst.yaml"
CONTRACT = ROOT / "examples" / "documents" / "supplier-contract.md"
QUESTION = "What is the notice period of the contract?"
EMAIL, PASSWORD = "boss@muster.test", "a long and quiet river"

Call = Callable[..., Result]


@dataclass(frozen=True, slots=True)
class Local:
    """An installation in a folder of the test, and a way to call commands on it."""

    folder: Path
    call: Call

    def ok(self, *arguments: str, **options: Any) -> str:
        """Return what a command that has to succeed prints."""
        result = self.call(*arguments, **options)
        assert result.exit_code == 0, result.output
        return result.stdout

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run an agent and return the run as JSON."""
        import json

        result = self.call("run", *arguments, "--json")
        assert result.exit_code == code, result.output
        return dict(json.loads(result.stdout))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test see no settings but its own, and leave the logs of this process as they were."""
    for name in list(os.environ):
        if name.startswith("MUSTER_") or name.endswith(("_API_KEY", "_BASE_URL")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MUSTER_ADMIN_EMAIL", EMAIL)
    monkeypatch.setenv("MUSTER_ADMIN_PASSWORD", PASSWORD)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def calling(folder: Path) -> Call:
    """Return a function that calls the program on a data folder."""

    def call(*arguments: str, **options: Any) -> Result:
        full = ["--data-dir", str(folder), *arguments]
        return CliRunner().invoke(app, full, catch_exceptions=False, **options)

    return call


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the superadmin, the example's agent, and one completed run of it."""
    folder = tmp_path_factory.mktemp("installation") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUSTER_ADMIN_EMAIL", EMAIL)
        patch.setenv("MUSTER_ADMIN_PASSWORD", PASSWORD)
        options = ["--file", str(CONTRACT), "--input", f"question={QUESTION}", "--no-live"]
        result = calling(folder)("run", str(AGENT), *options)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def local(made: Path, tmp_path: Path) -> Local:
    """A copy of the installation."""
    folder = tmp_path / "data"
    shutil.copytree(made, folder)
    return Local(folder, calling(folder))


@pytest.fixture
def empty(tmp_path: Path) -> Local:
    """A folder that nothing was ever started in."""
    folder = tmp_path / "data"
    return Local(folder, calling(folder))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A model server that is the product's OpenAI, on a thread of its own."""
    server = ScriptedServer(Script(rounds=1, text="Written."))
    loop, ready, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def work() -> None:
        async with served(server) as url:
            server.base_url = f"{url}/v1"
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    assert ready.wait(20)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    yield server
    loop.call_soon_threadsafe(end.set)
    thread.join(20)
    loop.close()


@pytest.fixture
def writer(tmp_path: Path) -> Path:
    """The file of an agent that writes a file and answers."""
    path = tmp_path / "writer.yaml"
    path.write_text(
        "name: Writer\nkey: writer\nllm: openai/scripted-large\ntools: [write_file]\n"
        "prompt: 'Write {what}'\n"
    )
    return path
