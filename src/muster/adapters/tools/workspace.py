"""A folder in which tools may read and write files, and out of which no path leads."""

import asyncio
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from muster.adapters.tools.base import ToolFailed, ToolInputInvalid
from muster.adapters.tools.search import matches_glob
from muster.kernel import clock
from muster.kernel.errors import FieldError
from muster.kernel.ids import new_id

logger = logging.getLogger(__name__)

T = TypeVar("T")

DEFAULT_QUOTA_BYTES = 100 * 2**20
MAX_FILE_BYTES = 10 * 2**20
MAX_FILES = 10_000
_MAX_LINES = 2_000
_MAX_CHARS = 200_000
_MAX_DEPTH = 20
_MAX_PATH = 1_000
_MAX_NAME_BYTES = 255
_MAX_LISTED = 1_000
_SNIFFED = 8_192
_TEMPORARY = ".muster-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Workspace:
    """Files below `root`, which is made when it is first needed.

    Every part of a path is opened from the folder before it, without following links, so neither
    `..` nor a link that appears in between can lead elsewhere.

    Args:
        root: The folder. Its own path may contain links: the operator chose it.
        quota_bytes: What all files together may take.
    """

    def __init__(self, root: Path, *, quota_bytes: int = DEFAULT_QUOTA_BYTES) -> None:
        self.root = root
        self._quota_bytes = quota_bytes
        self._writing = asyncio.Lock()

    async def read_file(
        self, path: str, start_line: int = 1, max_lines: int | None = None
    ) -> dict[str, Any]:
        """`{path, content, lines, truncated}`; `lines` is the number of lines in the whole file."""
        if start_line < 1 or (max_lines is not None and max_lines < 1):
            raise _invalid("start_line", "Lines are counted from 1.")
        return await self._in_thread(self._read, path, start_line, max_lines or _MAX_LINES)

    async def write_file(self, path: str, content: str, append: bool = False) -> dict[str, Any]:
        """Write or extend a text file and return `{path, bytes}`; `bytes` is its size now."""
        async with self._writing:
            return await self._in_thread(self._write, path, content, append)

    async def place_file(self, path: str, data: bytes) -> None:
        """Put a file in its place, where nothing has that name; it need not fit the quota."""
        async with self._writing:
            await self._in_thread(self._place, path, data)

    async def list_files(self, glob: str | None = None) -> dict[str, Any]:
        """`{files: [{path, bytes, modified_at}], total, truncated}`, sorted by path."""
        return await self._in_thread(self._list, glob)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.to_thread(function, *arguments)
        except UnicodeEncodeError:
            raise _invalid(
                "path", "The name or text holds characters that cannot be stored."
            ) from None
        except OSError as error:
            logger.warning("a workspace cannot be used: %s", error)
            raise ToolFailed(
                "The workspace's storage refused this. The operator finds the reason in the log."
            ) from None

    def _read(self, path: str, start_line: int, max_lines: int) -> dict[str, Any]:
        parts = _parts(path)
        with ExitStack() as stack:
            folder = self._open_folder(parts, stack, create=False)
            descriptor = _open(parts, os.O_RDONLY | _FILE, folder)
            stack.callback(os.close, descriptor)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _invalid("path", f"'{path}' is not a file.")
            if status.st_size > MAX_FILE_BYTES:
                raise _invalid(
                    "path", f"'{path}' is larger than {MAX_FILE_BYTES // 2**20} MB and is not read."
                )
            with os.fdopen(descriptor, "rb", closefd=False) as handle:
                data = handle.read(MAX_FILE_BYTES)
        if b"\x00" in data[:_SNIFFED] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise _invalid("path", f"'{path}' is a binary file; only text files can be read.")
        lines = _decode(data).splitlines(keepends=True)
        chosen = "".join(lines[start_line - 1 : start_line - 1 + max_lines])
        truncated = start_line - 1 + max_lines < len(lines) or len(chosen) > _MAX_CHARS
        return {
            "path": "/".join(parts),
            "content": chosen[:_MAX_CHARS],
            "lines": len(lines),
            "truncated": truncated,
        }

    def _write(self, path: str, content: str, append: bool) -> dict[str, Any]:
        parts = _parts(path)
        data = content.encode()
        with ExitStack() as stack:
            folder = self._open_folder(parts, stack, create=True)
            before = _size(parts[-1], folder)
            if before is not None and before < 0:
                raise _invalid("path", f"'{path}' is a folder or a link, not a file.")
            size = (before or 0) + len(data) if append else len(data)
            self._require_room(size, before)
            if append:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _FILE
                with os.fdopen(_open(parts, flags, folder), "ab") as handle:
                    handle.write(data)
            else:
                _replace(parts[-1], data, folder)
        return {"path": "/".join(parts), "bytes": size}

    def _place(self, path: str, data: bytes) -> None:
        parts = _parts(path)
        with ExitStack() as stack:
            folder = self._open_folder(parts, stack, create=True)
            if _size(parts[-1], folder) is None:
                _replace(parts[-1], data, folder)

    def _list(self, glob: str | None) -> dict[str, Any]:
        found = sorted((path, status) for path, status in self._files() if matches_glob(path, glob))
        files = [
            {
                "path": path,
                "bytes": status.st_size,
                "modified_at": clock.iso(datetime.fromtimestamp(status.st_mtime, UTC)),
            }
            for path, status in found[:_MAX_LISTED]
        ]
        return {"files": files, "total": len(found), "truncated": len(found) > _MAX_LISTED}

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        if not self.root.is_dir():
            return
        base = os.path.realpath(self.root)
        for folder, folders, names in os.walk(base, followlinks=False):
            folders.sort()
            for name in names:
                if name.startswith(_TEMPORARY):
                    continue
                with suppress(OSError):
                    full = os.path.join(folder, name)  # noqa: PTH118 - a hot loop
                    status = os.lstat(full)
                    if stat.S_ISREG(status.st_mode):
                        yield os.path.relpath(full, base).replace(os.sep, "/"), status

    def _require_room(self, size: int, before: int | None) -> None:
        if size > MAX_FILE_BYTES:
            raise _invalid("content", f"A file may hold at most {MAX_FILE_BYTES // 2**20} MB.")
        sizes = [status.st_size for _, status in self._files()]
        if before is None and len(sizes) >= MAX_FILES:
            raise _invalid("path", f"The workspace already holds {MAX_FILES} files.")
        if sum(sizes) - (before or 0) + size > self._quota_bytes:
            raise _invalid(
                "content",
                f"The workspace is full: it may hold {self._quota_bytes} bytes, and "
                f"{sum(sizes)} are used. Make some files smaller.",
            )

    def _open_folder(self, parts: list[str], stack: ExitStack, *, create: bool) -> int:
        if create:
            self.root.mkdir(parents=True, exist_ok=True)
        try:
            # Resolved first: the root may be a link, what is below it may not.
            current = os.open(os.path.realpath(self.root), _FOLDER)
        except FileNotFoundError:
            raise _missing(parts) from None
        stack.callback(os.close, current)
        for part in parts[:-1]:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=current)
            current = _open(parts, _FOLDER, current, part)
            stack.callback(os.close, current)
        return current


def _parts(path: str) -> list[str]:
    """The parts of a relative path, or why it cannot be one."""
    cleaned = path.strip().replace("\\", "/")
    parts = [part for part in cleaned.split("/") if part not in {"", "."}]
    if cleaned.startswith("/") or (len(cleaned) > 1 and cleaned[1] == ":"):
        raise _invalid("path", "Give a path relative to the workspace, without a leading '/'.")
    if ".." in parts:
        raise _invalid("path", "The path must not contain '..'.")
    if not parts or cleaned.endswith("/"):
        raise _invalid("path", "The path must name a file.")
    if "\x00" in path or len(cleaned) > _MAX_PATH or len(parts) > _MAX_DEPTH:
        raise _invalid("path", "The path is too long, too deep, or holds a null character.")
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        raise _invalid("path", f"A name may have at most {_MAX_NAME_BYTES} bytes.")
    if any(part.startswith(_TEMPORARY) for part in parts):
        raise _invalid("path", f"Names that begin with '{_TEMPORARY}' are reserved.")
    return parts


def _open(parts: list[str], flags: int, folder: int, name: str | None = None) -> int:
    try:
        return os.open(name or parts[-1], flags, 0o644, dir_fd=folder)
    except FileNotFoundError:
        raise _missing(parts) from None
    except OSError:
        # A link (ELOOP), a file used as a folder (ENOTDIR), a folder used as a file (EISDIR).
        shown = "/".join(parts)
        raise _invalid("path", f"'{shown}' cannot be opened: it is no plain file.") from None


def _size(name: str, folder: int) -> int | None:
    """The size of a file, None if there is none, -1 if it is something else."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def _replace(name: str, data: bytes, folder: int) -> None:
    """Put the new content in place in one move: a reader sees the old file or the new one."""
    temporary = f"{_TEMPORARY}{new_id()}"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
        with os.fdopen(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as handle:
            handle.write(data)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old Western files; Latin-1 has a character for every byte.
        return data.decode("latin-1")


def _missing(parts: list[str]) -> ToolInputInvalid:
    shown = "/".join(parts)
    return _invalid("path", f"There is no file '{shown}' in the workspace.")


def _invalid(field: str, message: str) -> ToolInputInvalid:
    return ToolInputInvalid(message, errors=[FieldError(field, message)])
