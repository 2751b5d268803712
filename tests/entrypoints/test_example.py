"""`muster serve --example`: the first thing that anybody sees."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from muster.entrypoints import example
from muster.entrypoints.cli.terminal import Refusal
from tests.entrypoints.conftest import PASSWORD, ROOT, Local
from tests.entrypoints.program import program

pytestmark = pytest.mark.durability

DOCUMENTS = ROOT / "examples" / "documents"


def test_the_example_is_installed_and_run_once(empty: Local) -> None:
    arguments = ("--data-dir", str(empty.folder), "serve", "--port", "0", "--example")
    with program(*arguments) as server:
        server.wait_for("Where to look")
        said = server.wait_for("--input question=")
        for part in (
            "Question: What notice period and penalty",
            "search_files(query=",
            "90 days",
            "4,050",
            "completed in",
            "tool calls",
            "cost $0",
            "/docs",
            "auth/login",
            "/execution-trace/",
            "runs show",
            "document-analyst.yaml --file",
        ):
            assert part in said
        assert PASSWORD not in said
        server.signal(signal.SIGTERM)
        assert server.code() == 0
    (run,) = json.loads(empty.ok("runs", "list", "--project", "Example", "--json"))
    assert run["status"] == "completed"
    assert run["started_by"]["kind"] == "user"
    copied = {p.name for p in (empty.folder / "documents" / run["group_id"]).iterdir()}
    assert copied == {p.name for p in DOCUMENTS.iterdir()}

    with program(*arguments) as server:
        said = server.wait_for("--input question=")
        assert (
            f"The example was run before: {run['name']} ({run['id']}). It is not run again." in said
        )
        server.kill()
    assert len(json.loads(empty.ok("runs", "list", "--json"))) == 1
    assert len(json.loads(empty.ok("agents", "list", "--json"))) == 1

    # A run that a killed server left in the middle goes on, and no other is started.
    reopen(empty.folder, run["id"])
    with program(*arguments) as server:
        server.wait_for("The example run goes on where it stopped.")
        server.wait_for("--input question=")
        server.signal(signal.SIGINT)
        assert server.code() == 0
    (again,) = json.loads(empty.ok("runs", "list", "--json"))
    assert (again["id"], again["status"]) == (run["id"], "completed")


def reopen(folder: Path, run_id: str) -> None:
    """Make a run look as a server that was killed leaves it."""
    import asyncio

    from sqlalchemy import update

    from muster.domains.work.journal import Run
    from muster.kernel.db import Database

    async def work() -> None:
        database = Database(f"sqlite+aiosqlite:///{folder / 'muster.db'}")
        async with database.write() as session:
            values: dict[str, Any] = {
                "status": "pending",
                "segment": Run.segment + 1,
                "completed_at": None,
                "result": None,
            }
            await session.execute(update(Run).where(Run.id == run_id).values(values))
        await database.dispose()

    asyncio.run(work())


def test_the_examples_are_found_beside_the_source() -> None:
    assert example.examples_folder() == ROOT / "examples"


def test_the_examples_are_found_in_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "lib" / "muster"
    shutil.copytree(ROOT / "examples", package / "examples")
    monkeypatch.setattr(example, "__file__", str(package / "entrypoints" / "example.py"))
    assert example.examples_folder() == package / "examples"
    shutil.rmtree(package)
    with pytest.raises(Refusal, match="not part of this installation"):
        example.examples_folder()
