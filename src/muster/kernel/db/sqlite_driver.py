"""SQLite's driver for SQLAlchemy: short statements in the thread of the event loop.

aiosqlite runs every call in a thread of the connection, and SQLAlchemy makes four calls for one
statement: open a cursor, execute, fetch, close. Each change of thread costs several times what a
statement by key costs. Here the four happen in one go, and without any change of thread where
nothing can take long:

- A reading statement is given a few milliseconds. One that needs more is broken off, which has no
  effect, and is begun again in the connection's thread.
- Of a unit of work that writes, its begin where it has to wait for another process, its commit,
  which waits for the disk, and what may touch many rows go to the thread; the rest touches few.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, ClassVar, cast

import aiosqlite
from aiosqlite.core import _STOP_RUNNING_SENTINEL  # pyright: ignore[reportPrivateUsage]
from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util.concurrency import await_

BEGIN = "BEGIN IMMEDIATE"
BUSY_TIMEOUT_MS = 30_000

_NOTHING_MEMOIZED: dict[str, Any] = {}
_SHORT_S = 0.003
_LOOK_EVERY = 2000
"""Instructions of SQLite's machine, some tens of microseconds."""
_FEW_ROWS = 20
_LOOK_AGAIN_S = 0.001
_CHUNK = 64


class _Outcome:
    """What a statement left: its columns, rows, count and last row."""

    __slots__ = ("count", "description", "last_row_id", "rows")

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.description: Any = cursor.description
        self.rows = cursor.fetchall() if cursor.description else []
        self.count = cursor.rowcount
        self.last_row_id = cursor.lastrowid
        cursor.close()


def _execute(connection: sqlite3.Connection, statement: str, parameters: Any) -> _Outcome:
    return _Outcome(connection.execute(statement, parameters))


def _execute_many(
    connection: sqlite3.Connection, statement: str, parameters: Sequence[Any]
) -> _Outcome:
    return _Outcome(connection.executemany(statement, parameters))


_AT_WORK = "muster_at_work"


@contextmanager
def noticed(connection: Any) -> Generator[None]:
    """Note on a connection whose caller was cancelled that its thread may be at work still."""
    try:
        yield
    except asyncio.CancelledError:
        setattr(connection, _AT_WORK, True)
        raise


async def _nothing() -> None:
    """Come to an end at once."""


_Work = Callable[[sqlite3.Connection, str, Any], _Outcome]


class OneTripCursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor whose statement is executed, fetched and closed in one change of thread."""

    __slots__ = ("_outcome",)
    _awaitable_cursor_close = False

    def __init__(self, adapt_connection: AsyncAdapt_aiosqlite_connection) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._cursor: Any = None
        self._rows: deque[Any] = deque()
        self._soft_closed_memoized: Any = _NOTHING_MEMOIZED
        self._outcome: _Outcome | None = None

    @property
    def description(self) -> Any:
        return self._outcome.description if self._outcome else None

    @property
    def rowcount(self) -> int:
        return self._outcome.count if self._outcome else -1

    @property
    def lastrowid(self) -> Any:
        return self._outcome.last_row_id if self._outcome else None

    def execute(self, operation: Any, parameters: Any = None) -> Any:
        self._run(_execute, operation, parameters or ())

    def executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        self._run(_execute_many, operation, seq_of_parameters)

    def _run(self, work: _Work, operation: str, parameters: Any) -> None:
        try:
            # SQLAlchemy takes a statement for which nobody waits for one of another kind of driver.
            await_(_nothing())
            outcome = self._outcome_of(work, operation, parameters)
        except Exception as error:  # noqa: BLE001 - translated into SQLAlchemy's errors
            self._adapt_connection._handle_exception(error)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        else:
            self._outcome = outcome
            self._rows = deque(outcome.rows)

    def _outcome_of(self, work: _Work, operation: str, parameters: Any) -> _Outcome:
        raise NotImplementedError

    def _in_thread(self, work: _Work, operation: str, parameters: Any) -> _Outcome:
        connection: Any = self._connection
        # Neither name is public in aiosqlite, which offers no other way to run a function in a
        # connection's thread; the lock file pins its release.
        raw = connection._conn  # noqa: SLF001
        with noticed(connection):
            outcome: _Outcome = await_(connection._execute(work, raw, operation, parameters))  # noqa: SLF001
        return outcome


class _ReadingCursor(OneTripCursor):
    __slots__ = ()

    def _outcome_of(self, work: _Work, operation: str, parameters: Any) -> _Outcome:
        raw: sqlite3.Connection = self._connection._conn  # noqa: SLF001
        last = time.perf_counter() + _SHORT_S
        raw.set_progress_handler(lambda: time.perf_counter() > last, _LOOK_EVERY)
        try:
            return work(raw, operation, parameters)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
        finally:
            raw.set_progress_handler(None, 0)
        return self._in_thread(work, operation, parameters)


class _WritingCursor(OneTripCursor):
    __slots__ = ()

    def _outcome_of(self, work: _Work, operation: str, parameters: Any) -> _Outcome:
        if operation == BEGIN:
            return self._begun()
        few = work is _execute or len(parameters) <= _FEW_ROWS
        if few and operation.startswith(_SHORT_WRITES):
            return work(self._connection._conn, operation, parameters)  # noqa: SLF001
        return self._in_thread(work, operation, parameters)

    def _begun(self) -> _Outcome:
        raw: sqlite3.Connection = self._connection._conn  # noqa: SLF001
        raw.execute("PRAGMA busy_timeout=0")
        try:
            return _execute(raw, BEGIN, ())
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY:
                raise
        finally:
            raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        return self._in_thread(_execute, BEGIN, ())


def at_hand(connection: Connection, statements: int) -> sqlite3.Connection | None:
    """Return SQLite's own connection where so many short statements may be executed right here.

    In the thread of the loop these are few; in that of the connection, any number.
    """
    given: Any = connection.connection.dbapi_connection
    if isinstance(given, sqlite3.Connection):
        return given
    if isinstance(given, _WritingConnection) and statements <= _FEW_ROWS:
        raw: sqlite3.Connection = given._connection._conn  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return raw
    return None


_PRIMARY = 0xFF
"""The bits of an error's code that tell its kind."""
_SHORT_WRITES = ("INSERT", "UPDATE", "SELECT")


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()

    def commit(self) -> None:
        with noticed(self._connection):
            super().commit()

    def rollback(self) -> None:
        connection: Any = self._connection
        if getattr(connection, _AT_WORK, False):
            super().rollback()  # in the thread, behind what it still does
            setattr(connection, _AT_WORK, False)
        elif connection._conn.in_transaction:  # noqa: SLF001
            connection._conn.rollback()  # noqa: SLF001


class _ReadingConnection(_Connection):
    __slots__ = ()
    _cursor_cls = _ReadingCursor


class _WritingConnection(_Connection):
    __slots__ = ()
    _cursor_cls = _WritingCursor


class _AnsweringConnection(aiosqlite.Connection):
    """A connection whose thread goes on to its end when nobody is there to be answered.

    Whoever waited for it may be cancelled, and its loop be gone, before the thread is done with
    what it was given: to open the file, for example. A connection that nobody closed is stopped by
    the collector of garbage, in the midst of whatever loop runs then.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, _CHUNK)
        tasks = cast("Any", self)._tx  # noqa: SLF001
        self._thread = Thread(target=_answer_all, args=(tasks,), daemon=True)


_Future = asyncio.Future[Any]


def _answer_all(tasks: SimpleQueue[tuple[_Future | None, Callable[[], Any]]]) -> None:
    result = None
    while result is not _STOP_RUNNING_SENTINEL:
        future, function = tasks.get()
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            _answer(future, error, failed=True)
        else:
            _answer(future, result)


def _answer(future: _Future | None, what: Any, *, failed: bool = False) -> None:
    def say(future: _Future) -> None:
        if not future.done():
            (future.set_exception if failed else future.set_result)(what)

    if future is not None:
        with suppress(RuntimeError):  # its loop is closed
            future.get_loop().call_soon_threadsafe(say, future)


def sqlite_connection(database: str, **options: Any) -> aiosqlite.Connection:
    """Return a connection that is opened when it is awaited: SQLAlchemy's `async_creator_fn`."""
    return _AnsweringConnection(partial(sqlite3.connect, database, **options))


class SqliteDriver(AsyncAdapt_aiosqlite_dbapi):
    """SQLAlchemy's driver, given to `create_async_engine` as its `module`."""

    connection_class: ClassVar[type[_Connection]]

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)
        self._opened: list[Any] = []

    def connect(self, *arg: Any, **kw: Any) -> AsyncAdapt_aiosqlite_connection:
        # Used by one unit of work at a time, now in the connection's thread and now in the loop's.
        options = {**kw, "check_same_thread": False, "async_creator_fn": self._opening}
        made = super().connect(*arg, **options)
        return self.connection_class(self, made._connection)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def _opening(self, database: str, **options: Any) -> aiosqlite.Connection:
        connection: Any = sqlite_connection(database, **options)
        self._opened = [one for one in self._opened if one._thread.is_alive()]  # noqa: SLF001
        self._opened.append(connection)
        return connection

    async def ended(self) -> None:
        """Return when no closed connection has a thread any more: it does first what it was given.

        Whoever is cancelled does not wait for what its connection's thread still does: to open the
        file, or to close it.
        """
        for connection in self._opened:
            # None of these names is public; the lock file pins aiosqlite's release.
            while not connection._running and connection._thread.is_alive():  # noqa: ASYNC110, SLF001
                await asyncio.sleep(_LOOK_AGAIN_S)


class ReadingDriver(SqliteDriver):
    """The driver of connections that only read."""

    connection_class = _ReadingConnection


class WritingDriver(SqliteDriver):
    """The driver of the one connection that writes."""

    connection_class = _WritingConnection
