"""Files that tools may read and write, and no others."""

import asyncio
import os
from pathlib import Path

import pytest

from muster.adapters.tools.base import ToolFailed, ToolInputInvalid
from muster.adapters.tools.workspace import Workspace

pytestmark = pytest.mark.anyio


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "space" / "project"


@pytest.fixture
def workspace(root: Path) -> Workspace:
    return Workspace(root)


async def test_write_read_append_list(workspace: Workspace) -> None:
    assert (await workspace.list_files())["files"] == []
    assert await workspace.write_file("a/b.txt", "one\ntwö\n") == {"path": "a/b.txt", "bytes": 9}
    assert await workspace.write_file("./a//b.txt", "three\n", append=True) == {
        "path": "a/b.txt",
        "bytes": 15,
    }
    await workspace.write_file("new.log", "x", append=True)
    assert await workspace.read_file("a\\b.txt") == {
        "path": "a/b.txt",
        "content": "one\ntwö\nthree\n",
        "lines": 3,
        "truncated": False,
    }
    await workspace.write_file("new.log", "shorter")
    listed = await workspace.list_files()
    assert [(file["path"], file["bytes"]) for file in listed["files"]] == [
        ("a/b.txt", 15),
        ("new.log", 7),
    ]
    assert listed["files"][0]["modified_at"].endswith("Z")
    assert [file["path"] for file in (await workspace.list_files("*.txt"))["files"]] == ["a/b.txt"]


async def test_parts_of_a_file(workspace: Workspace) -> None:
    await workspace.write_file("n.txt", "".join(f"{number}\n" for number in range(1, 11)))
    part = await workspace.read_file("n.txt", 3, 2)
    assert (part["content"], part["lines"], part["truncated"]) == ("3\n4\n", 10, True)
    end = await workspace.read_file("n.txt", 9, 5)
    assert (end["content"], end["truncated"]) == ("9\n10\n", False)
    assert (await workspace.read_file("n.txt", 99))["content"] == ""
    for start, count in ((0, None), (1, 0)):
        with pytest.raises(ToolInputInvalid, match="counted from 1"):
            await workspace.read_file("n.txt", start, count)
    await workspace.write_file("wide.txt", "x" * 300_000)
    wide = await workspace.read_file("wide.txt")
    assert (len(wide["content"]), wide["truncated"]) == (200_000, True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../x", "must not contain"),
        ("a/../../x", "must not contain"),
        ("..\\x", "must not contain"),
        ("/etc/passwd", "relative"),
        ("C:\\x", "relative"),
        ("", "must name a file"),
        (".", "must name a file"),
        ("a/", "must name a file"),
        ("a\x00b", "null character"),
        ("x" * 2_000, "too long"),
        ("/".join("a" * 30), "too deep"),
        ("é" * 200, "at most 255 bytes"),
        (".muster-1", "reserved"),
        ("a\ud800b", "cannot be stored"),
    ],
)
async def test_paths_that_are_refused(workspace: Workspace, path: str, reason: str) -> None:
    with pytest.raises(ToolInputInvalid, match=reason):
        await workspace.read_file(path)
    with pytest.raises(ToolInputInvalid, match=reason):
        await workspace.write_file(path, "x")


async def test_text_that_cannot_be_stored_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ToolInputInvalid, match="cannot be stored"):
        await workspace.write_file("a.txt", "\ud800")


async def test_links_lead_nowhere(workspace: Workspace, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    await workspace.write_file("real.txt", "mine")
    (root / "file.txt").symlink_to(outside / "secret.txt")
    (root / "folder").symlink_to(outside)
    for path in ("file.txt", "folder/secret.txt"):
        with pytest.raises(ToolInputInvalid, match="no plain file"):
            await workspace.read_file(path)
        for append in (False, True):
            with pytest.raises(ToolInputInvalid, match=r"no plain file|a link"):
                await workspace.write_file(path, "evil", append)
    with pytest.raises(ToolInputInvalid, match="no plain file"):
        await workspace.write_file("folder/new.txt", "evil")
    assert (outside / "secret.txt").read_text() == "secret"
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert [file["path"] for file in (await workspace.list_files())["files"]] == ["real.txt"]


async def test_files_are_placed_where_there_is_nothing(
    workspace: Workspace, root: Path, tmp_path: Path
) -> None:
    small = Workspace(root, quota_bytes=1)
    await small.place_file("a/given.txt", b"given")
    await workspace.place_file("a/given.txt", b"again")
    assert (root / "a/given.txt").read_text() == "given"
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside / "new.txt")
    (root / "folder").symlink_to(outside)
    await workspace.place_file("link", b"given")
    with pytest.raises(ToolInputInvalid, match="no plain file"):
        await workspace.place_file("folder/new.txt", b"given")
    assert list(outside.iterdir()) == []


async def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    workspace = Workspace(tmp_path / "alias")
    await workspace.write_file("a.txt", "x")
    assert (tmp_path / "real" / "a.txt").read_text() == "x"
    assert (await workspace.list_files())["total"] == 1


async def test_what_is_no_file_is_refused(workspace: Workspace, root: Path) -> None:
    with pytest.raises(ToolInputInvalid, match=r"There is no file 'a\.txt'"):
        await workspace.read_file("a.txt")
    await workspace.write_file("folder/a.txt", "x")
    os.mkfifo(root / "pipe")
    for path in ("folder", "pipe"):
        with pytest.raises(ToolInputInvalid, match="is not a file"):
            await workspace.read_file(path)
        with pytest.raises(ToolInputInvalid, match="a folder or a link"):
            await workspace.write_file(path, "x")
    for path in ("nowhere/a.txt", "folder/b.txt"):
        with pytest.raises(ToolInputInvalid, match="There is no file"):
            await workspace.read_file(path)
    with pytest.raises(ToolInputInvalid, match="no plain file"):
        await workspace.write_file("folder/a.txt/b.txt", "x")


async def test_binary_and_old_files(workspace: Workspace, root: Path) -> None:
    root.mkdir(parents=True)
    (root / "image.png").write_bytes(b"\x89PNG\x00")
    (root / "old.txt").write_bytes("Grüße".encode("latin-1"))
    (root / "marked.txt").write_bytes(b"\xef\xbb\xbfhello")
    (root / "wide.txt").write_bytes("hello".encode("utf-16"))
    (root / "large.txt").write_bytes(b"x" * (10 * 2**20 + 1))
    with pytest.raises(ToolInputInvalid, match="binary file"):
        await workspace.read_file("image.png")
    with pytest.raises(ToolInputInvalid, match="larger than 10 MB"):
        await workspace.read_file("large.txt")
    assert (await workspace.read_file("old.txt"))["content"] == "Grüße"
    assert (await workspace.read_file("marked.txt"))["content"] == "hello"
    assert (await workspace.read_file("wide.txt"))["content"] == "hello"


async def test_the_quota_holds_even_side_by_side(root: Path) -> None:
    workspace = Workspace(root, quota_bytes=100)
    outcomes = await asyncio.gather(
        *(workspace.write_file(f"{number}.txt", "x" * 30) for number in range(6)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == 3
    with pytest.raises(ToolInputInvalid, match="The workspace is full"):
        await workspace.write_file("more.txt", "x" * 30)
    listed = (await workspace.list_files())["files"]
    path = listed[0]["path"]
    await workspace.write_file(path, "x" * 40)
    with pytest.raises(ToolInputInvalid, match="full"):
        await workspace.write_file(path, "x", append=True)
    with pytest.raises(ToolInputInvalid, match="at most 10 MB"):
        await workspace.write_file("large.txt", "x" * (10 * 2**20 + 1))
    assert not list(root.glob(".muster-*"))


async def test_the_number_of_files_is_bounded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.adapters.tools.workspace.MAX_FILES", 2)
    await workspace.write_file("a.txt", "x")
    await workspace.write_file("b.txt", "x")
    with pytest.raises(ToolInputInvalid, match="already holds 2 files"):
        await workspace.write_file("c.txt", "x")
    await workspace.write_file("a.txt", "y")


async def test_long_lists_are_cut(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.adapters.tools.workspace._MAX_LISTED", 1)
    await workspace.write_file("a.txt", "x")
    await workspace.write_file("b.txt", "x")
    listed = await workspace.list_files()
    assert (len(listed["files"]), listed["total"], listed["truncated"]) == (1, 2, True)


async def test_a_storage_that_refuses_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where the folder should be")
    workspace = Workspace(tmp_path / "blocked")
    with pytest.raises(ToolFailed, match="storage refused") as caught:
        await workspace.write_file("a.txt", "x")
    assert str(tmp_path) not in caught.value.detail
