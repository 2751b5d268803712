"""Ranked search in folders of text files."""

import os
import random
import time
from pathlib import Path

import pytest

from muster.adapters.tools.base import ToolInputInvalid
from muster.adapters.tools.search import search_files, stem

pytestmark = pytest.mark.anyio


@pytest.fixture
def library(tmp_path: Path) -> Path:
    root = tmp_path / "library"
    files = {
        "refunds.md": "# Refunds\n\nCustomers get a refund within 30 days.\n\nAsk the desk.\n",
        "shipping.md": "Parcels leave daily.\nWe ship to Norway.\n\nNo refund for gifts, sorry.\n",
        "notes/policy.txt": "Our policies on travelling staff.\n\nTravel expenses are refunded.\n",
        "data.csv": "id,name\n1,refund policy\n",
        "code.py": "def ship(parcel):\n    return parcel\n",
        "node_modules/x.md": "refund refund refund\n",
        "unknown.bin": "refund\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "image.txt").write_bytes(b"refund \x00\x01")
    (root / "huge.txt").write_text("refund " * 300_000)
    outside = tmp_path / "outside.md"
    outside.write_text("refund outside\n")
    (root / "link.md").symlink_to(outside)
    os.mkfifo(root / "pipe.txt")
    return root


async def test_the_best_passage_comes_first(library: Path) -> None:
    found = await search_files([("docs", library)], "refunds within days")
    first = found["results"][0]
    assert first["path"] == "docs/refunds.md"
    assert first["line"] == 3
    assert first["text"] == "Customers get a refund within 30 days."
    paths = {result["path"] for result in found["results"]}
    assert paths == {
        "docs/refunds.md",
        "docs/shipping.md",
        "docs/notes/policy.txt",
        "docs/data.csv",
    }
    scores = [result["score"] for result in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert found["total"] == len(found["results"])


async def test_the_line_is_that_of_the_hit(library: Path) -> None:
    found = await search_files([("", library)], "Norway")
    assert [(result["path"], result["line"]) for result in found["results"]] == [("shipping.md", 2)]


async def test_a_phrase_counts_more_than_its_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The house is red and the roof is new.")
    (tmp_path / "b.txt").write_text("The roof is red and the house is new.")
    found = await search_files([("", tmp_path)], "the house is new")
    assert found["results"][0]["path"] == "b.txt"


async def test_files_are_chosen_by_pattern(library: Path) -> None:
    async def paths(glob: str) -> list[str]:
        found = await search_files([("", library)], "refund", glob=glob)
        return sorted({result["path"] for result in found["results"]})

    assert await paths("*.txt") == ["notes/policy.txt"]
    assert await paths("notes/*") == ["notes/policy.txt"]
    assert await paths("**/*.md") == ["refunds.md", "shipping.md"]
    assert await paths("*.bin") == ["unknown.bin"]


async def test_limits_and_empty_queries(library: Path) -> None:
    found = await search_files([("", library), ("again", library)], "refund", limit=1)
    assert len(found["results"]) == 1
    assert found["total"] >= 8
    assert (await search_files([("", library)], "xylophone"))["total"] == 0
    assert (await search_files([("", library)], "?!"))["total"] == 0
    assert (await search_files([("", library / "nowhere")], "refund"))["total"] == 0
    assert (await search_files([("", library)], "the"))["total"] >= 1
    with pytest.raises(ToolInputInvalid, match="empty"):
        await search_files([("", library)], "  ")


async def test_only_whole_words_match(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A catalogue of things.")
    assert (await search_files([("", tmp_path)], "cat"))["total"] == 0


async def test_long_paragraphs_are_cut(tmp_path: Path) -> None:
    lines = [f"line {number} {'filler ' * 20}" for number in range(40)]
    lines[30] = "here is the needle"
    (tmp_path / "a.txt").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_text("needle " * 200)
    found = await search_files([("", tmp_path)], "needle")
    hits = {result["path"]: result for result in found["results"]}
    assert hits["a.txt"]["line"] == 31
    assert len(hits["b.txt"]["text"]) == 601


async def test_a_tree_that_is_too_large_is_searched_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.adapters.tools.search.MAX_FILES", 3)
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text("needle")
    assert (await search_files([("", tmp_path)], "needle"))["total"] == 3


@pytest.mark.parametrize(
    "words",
    [
        ["policy", "policies"],
        ["run", "runs", "running"],
        ["make", "makes", "making"],
        ["stop", "stopped", "stopping"],
        ["call", "called", "calling", "calls"],
        ["class", "classes"],
        ["box", "boxes"],
        ["refund", "refunds", "refunded", "refunding"],
    ],
)
def test_endings_do_not_matter(words: list[str]) -> None:
    stems = {stem(word) for word in words}
    assert len(stems) == 1
    assert all(word.startswith(next(iter(stems))) for word in words)


@pytest.mark.parametrize("word", ["string", "bus", "gas", "is", "red", "king"])
def test_words_that_only_look_inflected_stay(word: str) -> None:
    assert stem(word) == word


async def test_a_thousand_files_in_a_second(tmp_path: Path) -> None:
    source = random.Random(7)
    words = [f"word{number}" for number in range(500)] + ["budget", "approval"]
    for number in range(1_000):
        text = "\n\n".join(" ".join(source.choices(words, k=40)) for _ in range(6))
        (tmp_path / f"{number}.md").write_text(text)
    started = time.process_time()
    found = await search_files([("", tmp_path)], "budget approvals")
    assert time.process_time() - started < 1
    assert found["total"] > 100
