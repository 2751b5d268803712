"""`muster doctor`: what it finds and what it says to do."""

import json
import os
import socket
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from muster.entrypoints.cli import checking
from tests.entrypoints.conftest import Local
from tests.support.model_scripts import Reply
from tests.support.model_server import ScriptedServer


def findings(local: Local, *, code: int = 0) -> dict[str, dict[str, str]]:
    result = local.call("doctor", "--json")
    assert result.exit_code == code, result.output
    return {finding["name"]: finding for finding in json.loads(result.stdout)}


def test_a_sound_installation(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_PORT", "0")
    found = findings(local)
    assert {name for name, finding in found.items() if finding["state"] == "fail"} == set()
    for name in ("python", "data folder", "disk", "database", "schema", "master key", "engine"):
        assert found[name]["state"] in {"ok", "warn"}
    assert found["database"]["text"] == "SQLite, journal_mode WAL"
    assert "builtin/extractive" in found["providers"]["text"]


def test_it_prints_a_line_for_each_finding(local: Local) -> None:
    lines = local.ok("doctor").splitlines()
    assert all(line.split()[0] in {"ok", "warn"} for line in lines)
    assert len(lines) >= 10


def test_an_empty_folder_is_fine_and_stays_empty(empty: Local) -> None:
    found = findings(empty)
    assert "will be made" in found["data folder"]["text"]
    assert "makes it" in found["database"]["text"]
    assert not empty.folder.exists()


def test_unsafe_settings(empty: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_HOST", "0.0.0.0")
    monkeypatch.setenv("MUSTER_REGISTRATION", "open")
    assert findings(empty, code=1)["settings"]["state"] == "fail"


def test_a_lost_and_a_wrong_master_key(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    seal_something(local.folder)
    assert findings(local)["master key"]["text"] == "fits 1 key in use"
    key = local.folder / "master.key"
    kept = key.read_text()
    key.unlink()
    lost = findings(local, code=1)["master key"]
    assert "Restore" in lost["advice"]
    assert not key.exists()
    monkeypatch.setenv("MUSTER_MASTER_KEY", "A" * 43 + "=")
    assert "another key" in findings(local, code=1)["master key"]["text"]
    monkeypatch.setenv("MUSTER_MASTER_KEY", "nonsense")
    assert "32 bytes" in findings(local, code=1)["master key"]["text"]
    monkeypatch.setenv("MUSTER_MASTER_KEY", kept.strip())
    assert findings(local)["master key"]["state"] == "ok"


def seal_something(folder: Path) -> None:
    import asyncio

    from sqlalchemy import select

    from muster.kernel.crypto import MasterKey
    from muster.kernel.db import Database
    from muster.platform.projects import Project
    from muster.platform.vault.models import Secret

    async def work() -> None:
        database = Database(f"sqlite+aiosqlite:///{folder / 'muster.db'}")
        async with database.write() as session:
            project = await session.scalar(select(Project.id))
            sealed = MasterKey.load(None, folder / "master.key").seal("x", context="test")
            columns: dict[str, Any] = {c.key: None for c in Secret.__table__.columns}
            columns |= {"id": "s", "project_id": project, "name": "s", "key_id": sealed.key_id}
            columns |= {"wrapped_key": sealed.wrapped_key, "ciphertext": sealed.ciphertext}
            session.add(Secret(**{k: v for k, v in columns.items() if v is not None}))
        await database.dispose()

    asyncio.run(work())


def test_a_key_that_was_never_used_may_be_absent(local: Local) -> None:
    (local.folder / "master.key").unlink()
    assert "the next start makes it" in findings(local)["master key"]["text"]


def test_a_database_that_is_none(local: Local) -> None:
    for path in local.folder.glob("muster.db*"):
        path.unlink()
    (local.folder / "muster.db").write_bytes(b"nothing that SQLite knows" * 100)
    found = findings(local, code=1)["database"]
    assert "Restore" in found["advice"]


def test_a_database_server_that_is_away(empty: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("MUSTER_DATABASE_URL", f"postgresql://u:hidden@127.0.0.1:{port}/d")
    found = findings(empty, code=1)["database"]
    assert "Start the database server" in found["advice"]
    assert "hidden" not in json.dumps(found)
    result = empty.call("runs", "list")
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_a_taken_port_is_a_warning(empty: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("MUSTER_PORT", str(other.getsockname()[1]))
        assert findings(empty)["port"]["state"] == "warn"


def test_providers_are_asked(
    empty: Local, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert findings(empty)["provider openai"]["text"] == "lists 2 models"
    scripted.model_list_reply = Reply(status=401, message="sk-test is not known")
    assert findings(empty)["provider openai"]["state"] == "warn"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("MUSTER_RUNTIME_PROFILE", "offline")
    assert "offline" in findings(empty)["provider anthropic"]["text"]
    monkeypatch.setenv("OPENAI_BASE_URL", "no address")
    assert "OPENAI_BASE_URL" in findings(empty, code=1)["providers"]["text"]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("megabytes", "state"), [(50, "fail"), (500, "warn"), (5000, "ok")])
def test_disk_space(
    megabytes: int, state: str, empty: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = Usage(10**12, 0, megabytes * 2**20)
    monkeypatch.setattr(checking.shutil, "disk_usage", lambda _: usage)
    assert findings(empty, code=int(state == "fail"))["disk"]["state"] == state


def test_a_folder_that_cannot_be_written(empty: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert findings(empty, code=1)["data folder"]["state"] == "fail"


def test_layers_of_the_sandbox_that_are_missing(
    empty: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "sandbox_layers", lambda: {"seccomp": True, "landlock": False})
    found = findings(empty)["sandbox"]
    assert (found["state"], found["text"]) == ("warn", "seccomp active; landlock not")


def test_an_old_python(monkeypatch: pytest.MonkeyPatch, empty: Local) -> None:
    monkeypatch.setattr(checking.sys, "version_info", (3, 10, 2))
    assert checking._python().state == "fail"
