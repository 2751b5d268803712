"""The program: its commands, its options, how it refuses."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from muster import __version__
from muster.entrypoints.cli.main import app
from tests.entrypoints.conftest import Local

HEAVY = ("sqlalchemy", "fastapi", "pydantic", "dbos", "uvicorn", "cryptography")
LATER = (
    *("alembic", "asyncpg", "dbos", "jwt", "pydantic_ai", "tenacity"),
    *("muster.domains.dialogue.collaboration", "muster.domains.dialogue.mailbox"),
    *("muster.domains.dialogue.reviews", "muster.domains.insight.reports.document"),
    *("muster.domains.work.crews", "muster.domains.work.plans", "muster.domains.work.tasks"),
    *("muster.domains.work.triggers", "muster.domains.work.workflows"),
    *("muster.entrypoints.example", "muster.platform.identity.schemas"),
)
"""What a server needs for some requests, or beside them."""


def commands(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every command by the words that call it."""
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        return {path: command}
    found: dict[tuple[str, ...], Any] = {}
    for name, child in children.items():
        found |= commands(child, (*path, name))
    return found


EVERY = commands(typer.main.get_command(app))


def test_the_promised_commands_are_there() -> None:
    promised = {
        ("serve",), ("worker",), ("run",), ("doctor",), ("openapi",), ("version",),
        ("runs", "list"), ("runs", "show"), ("runs", "watch"), ("runs", "cancel"),
        ("runs", "stop"), ("runs", "resume"), ("runs", "retry"), ("runs", "fork"),
        ("agents", "list"), ("agents", "show"), ("agents", "import"), ("agents", "export"),
        ("agents", "start"), ("agents", "stop"),
        ("approvals", "list"), ("approvals", "approve"), ("approvals", "reject"),
        ("db", "upgrade"), ("db", "current"),
    }  # fmt: skip
    assert promised <= set(EVERY)


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...], empty: Local) -> None:
    text = " ".join(empty.ok(*path, "--help").split())
    assert "Example: " in text
    assert f"muster {' '.join(path)}" in text.split("Example: ")[1]


def test_the_program_without_a_command_lists_them() -> None:
    result = CliRunner().invoke(app, [])
    for name in ("serve", "run", "runs", "doctor"):
        assert name in result.output


def loaded_with(module: str, names: tuple[str, ...]) -> str:
    """Return which of the modules a new interpreter has after it has imported one."""
    code = f"import sys, {module}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_help_loads_nothing_heavy() -> None:
    assert loaded_with("muster.entrypoints.cli.main", HEAVY) == "[]"


def test_a_server_loads_for_its_first_answer_only_what_that_needs() -> None:
    serving = "muster.entrypoints.serving, muster.platform.system.router"
    assert loaded_with(serving, LATER) == "[]"


def test_version(empty: Local) -> None:
    assert empty.ok("version").strip() == __version__


def test_the_openapi_document_needs_no_data(empty: Local) -> None:
    document = json.loads(empty.ok("openapi"))
    assert document["info"]["title"] == "Muster"
    assert "/api/v1/executions" in document["paths"]
    assert not empty.folder.exists()


def test_the_openapi_document_goes_into_a_file(empty: Local) -> None:
    path = empty.folder.parent / "openapi.json"
    assert str(path) in empty.ok("openapi", "--output", str(path))
    assert json.loads(path.read_text())["openapi"].startswith("3.")


def test_a_folder_without_a_database_is_refused(empty: Local) -> None:
    result = empty.call("runs", "list")
    assert result.exit_code == 1
    assert "There is no database" in result.stderr
    assert "muster serve" in result.stderr
    assert not empty.folder.exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MUSTER_PORT", "many", "MUSTER_PORT"),
        ("MUSTER_RUNS_CONCURRENCY", "0", "MUSTER_RUNS_CONCURRENCY"),
        ("MUSTER_DATABASE_URL", "mysql://h/d", "'mysql'"),
        ("MUSTER_ADMIN_PASSWORD", "short", "MUSTER_ADMIN_PASSWORD"),
    ],
)
def test_wrong_settings_are_refused_with_code_2(
    name: str, value: str, said: str, empty: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    result = empty.call("runs", "list")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_the_value_of_a_wrong_setting_is_not_printed(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_MASTER_KEY", "a secret that is no key")
    result = local.call("agents", "show", "document-analyst")
    assert result.exit_code == 2
    assert "master key" in result.stderr
    assert "a secret that" not in result.output


def test_a_broken_database_is_told_without_a_traceback(local: Local) -> None:
    for path in local.folder.glob("muster.db*"):
        path.unlink()
    (local.folder / "muster.db").write_bytes(b"this is no database at all" * 100)
    result = local.call("runs", "list")
    assert result.exit_code == 1
    assert "muster doctor" in result.stderr


def test_a_folder_that_cannot_be_used_is_told(empty: Local) -> None:
    empty.folder.parent.mkdir(exist_ok=True)
    empty.folder.write_text("a file")
    result = empty.call("runs", "list")
    assert result.exit_code == 2  # a usage error of the option itself
    assert "--data-dir" in result.stderr


def test_the_schema_is_made_and_shown(empty: Local) -> None:
    result = empty.call("db", "current")
    assert result.exit_code == 1
    assert "has no schema" in result.stdout
    assert "went from nothing to" in empty.ok("db", "upgrade")
    assert "already, the newest" in empty.ok("db", "upgrade")
    assert empty.call("db", "current").exit_code == 0


@pytest.mark.parametrize("version", ["", "9999"])
def test_a_schema_of_another_release_is_refused(version: str, local: Local) -> None:
    statement = (
        "UPDATE alembic_version SET version_num = ?"
        if version
        else "DELETE FROM alembic_version WHERE ? = ''"
    )
    with closing(sqlite3.connect(local.folder / "muster.db")) as connection, connection:
        connection.execute(statement, (version,))
    result = local.call("runs", "list")
    assert result.exit_code == 1
    assert "muster db upgrade" in result.stderr
    assert "fail" in local.call("doctor").stdout
    assert local.call("doctor").exit_code == 1


def test_a_newer_schema_is_not_touched(local: Local) -> None:
    with closing(sqlite3.connect(local.folder / "muster.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    result = local.call("db", "upgrade")
    assert result.exit_code == 1
    assert "A newer release made it" in result.stderr
