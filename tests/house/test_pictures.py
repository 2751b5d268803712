"""The pictures in the documents are those of the examples as they are."""

from pathlib import Path

import pytest
from tools import pictures


def test_no_picture_is_stale() -> None:
    assert pictures.stale() == [], "python -m tools.pictures draws them anew"


def test_a_picture_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    assert pictures.main([]) == 0
    assert pictures.main(["--check"]) == 0
    name = next(iter(pictures.pictures()))
    (tmp_path / name).write_text("old")
    assert pictures.stale() == [name]
    assert pictures.main(["--check"]) == 1
