"""The folder a run works in: handed to its user, measured while it runs, removed afterwards."""

import contextlib
import os
import shutil
import stat
from itertools import count
from pathlib import Path


def hand_over(folder: Path, user: int) -> None:
    """Give a folder and all in it to a user; only root can.

    Files with a second name are left alone: the other name may be outside the folder.
    """
    os.chown(folder, user, user, follow_symlinks=False)
    for _, folders, files, descriptor in os.fwalk(folder):
        for name in (*folders, *files):
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
                os.chown(name, user, user, dir_fd=descriptor, follow_symlinks=False)


def measure(folder: Path, ceiling: int) -> tuple[int, int] | None:
    """Count the entries and bytes below a folder.

    None if it holds more entries than the ceiling, or something that cannot be looked into:
    whoever made a folder unreadable may be hiding files in it.
    """
    entries = size = 0
    pending = [os.fspath(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as found:
                for entry in found:
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        entries += 1
                        size += status.st_blocks * 512
                        if stat.S_ISDIR(status.st_mode):
                            pending.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        if entries > ceiling:
            return None
    return entries, size


def remove(folder: Path) -> None:
    """Remove a folder whatever the code made of it: locked, or nested deeper than a path goes."""
    names = (folder / f".{number}" for number in count())
    nested = True
    while nested:
        nested = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
        for entry in nested:
            os.chmod(entry.path, stat.S_IRWXU)  # noqa: PTH101
            for child in list(os.scandir(entry.path)):
                if child.is_dir(follow_symlinks=False):
                    os.chmod(child.path, stat.S_IRWXU)  # noqa: PTH101
                target = next(name for name in names if not os.path.lexists(name))
                os.rename(child.path, target)  # noqa: PTH104
            os.rmdir(entry.path)  # noqa: PTH106
    shutil.rmtree(folder)
