"""The reference pages say what the code does."""

import subprocess
import sys
from pathlib import Path

import pytest
from tools import reference

ROOT = Path(__file__).resolve().parents[2]


def test_no_reference_page_is_stale() -> None:
    # In a process of its own: what other tests have imported must not get into the pages.
    done = subprocess.run(
        [sys.executable, "-m", "tools.reference", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    reference.write()
    assert reference.stale() == []
    (tmp_path / "settings.md").write_text("old")
    (tmp_path / "errors.md").unlink()
    assert reference.stale() == ["settings.md", "errors.md"]
    assert reference.main(["--check"]) == 1
