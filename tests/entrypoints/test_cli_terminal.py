"""What commands look like on a terminal, and what is the same on both databases."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from muster.entrypoints.cli.terminal import dollars, seconds
from tests.entrypoints.conftest import AGENT, CONTRACT, QUESTION, Local, calling
from tests.entrypoints.program import program, until


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands believe that they write to a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "220")


@pytest.mark.usefixtures("terminal")
def test_lists_are_tables_with_short_ids(local: Local) -> None:
    shown = local.ok("runs", "list")
    run = json.loads(local.ok("runs", "list", "--json"))[0]["id"]
    assert "STATUS" in shown
    assert run not in shown
    assert run.rpartition("-")[2] in shown


@pytest.mark.usefixtures("terminal")
def test_findings_are_a_table(local: Local) -> None:
    shown = local.ok("doctor")
    assert "journal_mode WAL" in shown
    assert "ok    python" not in shown


@pytest.mark.usefixtures("terminal")
def test_the_answer_is_rendered_and_the_password_boxed(
    empty: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MUSTER_ADMIN_PASSWORD")
    result = empty.call(
        "run", str(AGENT), "--file", str(CONTRACT), "--input", f"question={QUESTION}"
    )
    assert result.exit_code == 0, result.output
    assert "90 days" in result.stdout
    assert "**" not in result.stdout
    assert "The superadmin of this installation ─" in result.stderr
    assert "model calls" in result.stderr


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(None, "-"), (12.4, "12 ms"), (1500, "1.5 s"), (59_999, "60.0 s"), (125_000, "2 min 5 s")],
)
def test_durations(milliseconds: float | None, shown: str) -> None:
    assert seconds(milliseconds) == shown


@pytest.mark.parametrize(
    ("cost", "shown"),
    [(None, "unknown"), (0, "$0"), (0.00412, "$0.0041"), (1234.5, "$1,234.50")],
)
def test_costs(cost: float | None, shown: str) -> None:
    assert dollars(cost) == shown


@pytest.mark.durability
def test_commands_and_workers_on_either_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_DATABASE_URL", database_url)
    folder = tmp_path / "data"
    local = Local(folder, calling(folder))
    run = local.run(str(AGENT), "--file", str(CONTRACT), "--input", f"question={QUESTION}")
    assert "90 days" in run["result"]
    found = {f["name"]: f for f in json.loads(local.ok("doctor", "--json"))}
    assert {found[name]["state"] for name in ("database", "schema", "master key")} == {"ok"}
    with program("--data-dir", str(folder), "worker") as worker:
        worker.wait_for("Executing runs")
        again = asyncio.run(submit_again(str(run["id"])))
        shown = ("runs", "show", again, "--json")
        until(lambda: json.loads(local.ok(*shown))["status"] == "completed", "the end of the run")
        worker.signal(signal.SIGTERM)
        assert worker.code() == 0


async def submit_again(run_id: str) -> str:
    """Retry a run without executing it here; returns the id of the new one."""
    from muster.entrypoints.cli.executing import retry_run
    from muster.entrypoints.cli.local import opened
    from muster.entrypoints.cli.options import DATA_DIR

    assert DATA_DIR.get() is not None
    async with opened("submit") as installation:
        return (await retry_run(installation, run_id)).id
