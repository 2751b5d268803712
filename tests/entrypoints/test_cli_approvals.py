"""Approvals on the command line: asked for by a run, decided by a command."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from muster.domains.catalogue.tools.models import ToolOverride
from muster.kernel.db import Database
from tests.entrypoints.conftest import Local
from tests.support.model_scripts import Reply, Script
from tests.support.model_server import ScriptedServer

CALL = Reply(
    tool_calls=[{"name": "write_file", "arguments": {"path": "a.txt", "content": "hello"}}]
)


@pytest.fixture
def guarded(local: Local, scripted: ScriptedServer) -> Local:
    """An installation in which writing files needs an approval."""
    scripted.script = Script(select="turn", replies=[CALL, Reply(text="Done.")])
    project = json.loads(local.ok("runs", "list", "--json"))[0]["group_id"]
    require_approval(local.folder, project)
    return local


def require_approval(folder: Path, project_id: str) -> None:
    async def work() -> None:
        database = Database(f"sqlite+aiosqlite:///{folder / 'muster.db'}")
        async with database.write() as session:
            session.add(
                ToolOverride(project_id=project_id, name="write_file", requires_approval=True)
            )
        await database.dispose()

    asyncio.run(work())


def waiting(local: Local) -> dict[str, Any]:
    (approval,) = json.loads(local.ok("approvals", "list", "--json"))
    return dict(approval)


def start(local: Local, writer: Path) -> str:
    """Run the agent until it waits; returns the id of the run."""
    run = local.run(str(writer), "--input", "what=hello", code=3)
    assert run["status"] == "waiting_for_approval"
    return str(run["id"])


def test_a_run_that_waits_says_how_to_go_on(guarded: Local, writer: Path) -> None:
    result = guarded.call("run", str(writer), "--input", "what=hello")
    assert result.exit_code == 3
    short = str(waiting(guarded)["id"]).rpartition("-")[2]
    assert f"muster approvals approve {short}" in result.stderr
    assert "muster runs resume" in result.stderr
    assert '"path": "a.txt"' in result.stderr


def test_approve_and_resume(guarded: Local, writer: Path) -> None:
    run = start(guarded, writer)
    assert "write_file" in guarded.ok("approvals", "list")
    result = guarded.call("approvals", "approve", str(waiting(guarded)["id"])[-8:])
    assert "approved" in result.stdout
    assert "No process executes runs now" in result.stderr
    done = guarded.call("runs", "resume", run, "--json")
    assert json.loads(done.stdout)["result"] == "Done."
    assert "Nothing waits" in guarded.call("approvals", "list").stderr
    assert "approved" in guarded.ok("approvals", "list", "--all")


def test_a_run_that_still_waits_is_resumed_up_to_the_question(guarded: Local, writer: Path) -> None:
    result = guarded.call("runs", "resume", start(guarded, writer))
    assert result.exit_code == 3


def test_arguments_can_be_replaced(guarded: Local, writer: Path, scripted: ScriptedServer) -> None:
    run = start(guarded, writer)
    other = json.dumps({"path": "b.txt", "content": "other"})
    guarded.ok("approvals", "approve", str(waiting(guarded)["id"]), "--arguments", other)
    guarded.ok("runs", "resume", run)
    assert (next(guarded.folder.glob(f"workspaces/*/{run}")) / "b.txt").read_text() == "other"


def test_reject_with_a_reason(guarded: Local, writer: Path, scripted: ScriptedServer) -> None:
    run = start(guarded, writer)
    approval = str(waiting(guarded)["id"])
    assert "rejected" in guarded.ok("approvals", "reject", approval, "--reason", "not ours")
    guarded.ok("runs", "resume", run)
    assert "not ours" in json.dumps(scripted.last.body)
    assert "blocked" in guarded.ok("runs", "show", run) or "rejected" in guarded.ok(
        "runs", "show", run
    )


def test_reject_and_end_the_run(guarded: Local, writer: Path) -> None:
    run = start(guarded, writer)
    guarded.ok("approvals", "reject", str(waiting(guarded)["id"]), "--end-run")
    result = guarded.call("runs", "resume", run)
    assert result.exit_code == 1
    assert json.loads(guarded.ok("runs", "show", run, "--json"))["status"] == "rejected"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--arguments", "{broken"], "no JSON"),
        (["--arguments", "[1]"], "an object"),
        (["--arguments", '{"path": 5}'], "do not fit"),
        (["--choice", "retry"], "no such choice"),
        (["--choice", "maybe"], "choice"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: list[str], said: str, guarded: Local, writer: Path
) -> None:
    start(guarded, writer)
    result = guarded.call("approvals", "approve", str(waiting(guarded)["id"]), *options)
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert waiting(guarded)["status"] == "pending"


def test_a_decision_is_made_once(guarded: Local, writer: Path) -> None:
    start(guarded, writer)
    approval = str(waiting(guarded)["id"])
    guarded.ok("approvals", "approve", approval)
    result = guarded.call("approvals", "approve", approval)
    assert result.exit_code == 1
    assert "decided already" in result.stderr or "approved already" in result.stderr


def test_a_waiting_run_can_be_cancelled(guarded: Local, writer: Path) -> None:
    run = start(guarded, writer)
    assert "is cancelled" in guarded.ok("runs", "cancel", run, "--reason", "no more")
    assert json.loads(guarded.ok("runs", "show", run, "--json"))["status_reason"] == "no more"


def test_a_waiting_run_can_be_stopped(guarded: Local, writer: Path) -> None:
    run = start(guarded, writer)
    assert "stopped" in guarded.ok("runs", "stop", run, "--force")
