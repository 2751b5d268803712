"""`muster verify`: what it says of exports, sound and tampered with."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from typer.testing import CliRunner, Result

from muster.entrypoints.assembly import Muster
from muster.entrypoints.cli import verify
from muster.entrypoints.cli.main import app
from muster.platform.audit import PublicKey
from tests.entrypoints.program import MUSTER
from tests.platform.audited import as_text, export_of, fill, tamper
from tests.support.people import People

pytestmark = pytest.mark.anyio

SOUND = "Valid: every event is as it was recorded and signed."


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments], catch_exceptions=False)


@pytest.fixture
async def path(muster: Muster, people: People, tmp_path: Path) -> Path:
    """An export of ten events and more."""
    await fill(muster, people.project_id, 6)
    await people.viewer.get("/audit/checkpoint")
    await fill(muster, people.project_id, 5)
    path = tmp_path / "audit.ndjson"
    path.write_text("".join(as_text(await export_of(people.viewer))))
    return path


@pytest.fixture
async def key(muster: Muster) -> PublicKey:
    return (await muster.audit.key()).public


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_sound_export(path: Path, key: PublicKey, people: People) -> None:
    result = call(str(path), "--public-key", key.text)

    assert result.exit_code == 0, result.output
    assert SOUND in result.stdout
    assert "not verified" not in result.output
    assert people.project_id in result.stdout
    assert f"signed by     {key.name} ({key.id})" in result.stdout
    assert "checkpoints   2 right" in result.stdout
    assert "run journals  5 heads anchored" in result.stdout


async def test_without_a_key_it_says_that_the_key_is_not_verified(path: Path) -> None:
    result = call(str(path))

    assert result.exit_code == 0
    assert SOUND in result.stdout
    assert "key           from the export: NOT VERIFIED" in result.stdout
    assert "is not verified" in result.stderr


async def test_keys_are_taken_in_many_forms(
    path: Path, key: PublicKey, people: People, tmp_path: Path
) -> None:
    pem = Ed25519PublicKey.from_public_bytes(key.raw).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    answer = (await people.viewer.get("/audit/keys")).text
    texts = (
        f"# ours\n{PublicKey.of(bytes(32)).text}\n\n{key.text}\n",
        pem.decode(),
        answer,
        key.base64,
    )
    for text in texts:
        file = tmp_path / "key"
        file.write_text(text)
        result = call(str(path), "--public-key", str(file))
        assert result.exit_code == 0, result.output
        assert "key           given" in result.stdout
    other = PublicKey.of(bytes(32)).base64
    assert call(str(path), "-k", other, "-k", key.base64).exit_code == 0
    refused = call(str(path), "-k", other)
    assert refused.exit_code == 1
    assert "a key that is not given" in refused.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no public key"),
        ("not a key", "holds no public key of Muster"),
        ("{}", "not an answer of GET /audit/keys"),
        ("{", "holds no public key of Muster"),
        ('{"keys": 3}', "not an answer of GET /audit/keys"),
    ],
)
async def test_what_is_no_key_is_refused(
    path: Path, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "key"
    file.write_text(content)

    result = call(str(path), "--public-key", str(file))

    assert result.exit_code == 1
    assert said in result.stderr
    for text in ("nonsense", "a" * 5000, "nul\0"):
        result = call(str(path), "--public-key", text)
        assert result.exit_code == 1
        assert "is no file and no public key" in result.stderr


def change(lines: list[dict[str, Any]]) -> None:
    lines[8]["event"]["actor_name"] = "Eve"


def remove(lines: list[dict[str, Any]]) -> None:
    del lines[8]


def swap(lines: list[dict[str, Any]]) -> None:
    lines[8], lines[9] = lines[9], lines[8]


def cut_off(lines: list[dict[str, Any]]) -> None:
    del lines[8:-1]


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [(change, "changed"), (remove, "missing"), (swap, "missing"), (cut_off, "truncated_tail")],
)
async def test_the_first_bad_place_is_named(
    path: Path,
    key: PublicKey,
    tampering: Callable[[list[dict[str, Any]]], None],
    problem: str,
) -> None:
    lines = lines_of(path)
    assert lines[8]["kind"] == "event"
    seq = lines[8]["event"]["seq"]
    tampering(lines)
    path.write_text("".join(as_text(lines)))

    result = call(str(path), "--public-key", key.text)
    assert result.exit_code == 1
    assert f"NOT VALID at event {seq} (" in result.stdout
    assert f"line 9: {problem}. Event {seq}" in result.stdout
    if problem == "changed":
        assert lines[8]["event"]["id"] in result.stdout

    result = call(str(path), "--public-key", key.text, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["valid"], told["events"], told["key_is_trusted"]) == (False, seq - 1, True)
    assert (told["problem"]["problem"], told["problem"]["seq"]) == (problem, seq)
    assert told["problem"]["line"] == 9


async def test_a_database_that_was_tampered_with(
    muster: Muster, people: People, path: Path, key: PublicKey
) -> None:
    await tamper(
        muster,
        "UPDATE events SET data = '{}' WHERE chain = :chain AND seq = 3",
        chain=people.project_id,
    )
    path.write_text("".join(as_text(await export_of(people.viewer))))

    result = call(str(path), "--public-key", key.text)

    assert result.exit_code == 1
    assert "NOT VALID at event 3" in result.stdout


async def test_a_file_that_is_no_export(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x00\xff not an export")

    result = call(str(path))

    assert result.exit_code == 1
    assert "NOT VALID at line 1: unreadable." in result.stdout
    assert call(str(tmp_path / "nothing")).exit_code == 2


async def test_a_file_cannot_steer_the_terminal(path: Path) -> None:
    lines = lines_of(path)
    lines[0]["chain"] = "\x1b]0;owned\x07" + "a" * 5000
    path.write_text("".join(as_text(lines)))

    result = call(str(path))

    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
    assert "log          ?]0;owned?aaa" in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 1100


async def test_on_a_terminal_it_is_a_table(
    path: Path, key: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(force_terminal=True, width=120, record=True, no_color=True)
    monkeypatch.setattr(verify, "OUT", console)

    call(str(path), "--public-key", key.text)

    assert "signed by" in console.export_text()


async def test_anchored_journals_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from muster.platform.audit import ExportReport

    rows = dict(verify._rows(ExportReport(chain="a", size=3, run_journals=2)))
    assert rows["run journals"] == "2 heads anchored"
    assert rows["events"] == "0 right"


async def test_it_loads_no_database_and_needs_no_folder(path: Path, key: PublicKey) -> None:
    code = (
        "import sys, muster.platform.audit; "
        "print([n for n in ('sqlalchemy', 'fastapi', 'pydantic', 'dbos') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"

    # As a program, in an empty environment and without a place to write to.
    done = subprocess.run(
        [MUSTER, "verify", str(path), "--public-key", key.text],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"MUSTER_DATABASE_URL": "nonsense"},
    )
    assert done.returncode == 0, done.stderr
    assert SOUND in done.stdout
