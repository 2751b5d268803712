"""SQLite's driver for SQLAlchemy, with one change of thread per statement.

aiosqlite runs every call in a thread of the connection, and SQLAlchemy makes four calls for one
statement: open a cursor, execute, fetch, close. Each change of thread costs several times what a
statement by key costs. Here the four happen in one go.
"""

import sqlite3
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util.concurrency import await_

_NOTHING_MEMOIZED: dict[str, Any] = {}


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

    def _run(self, work: Any, operation: Any, parameters: Any) -> None:
        connection: Any = self._connection
        try:
            # Neither name is public in aiosqlite, which offers no other way to run a function in
            # a connection's thread; the lock file pins its release.
            raw = connection._conn  # noqa: SLF001
            outcome = await_(connection._execute(work, raw, operation, parameters))  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - translated into SQLAlchemy's errors
            self._adapt_connection._handle_exception(error)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        else:
            self._outcome = outcome
            self._rows = deque(outcome.rows)


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls = OneTripCursor


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *arg: Any, **kw: Any) -> AsyncAdapt_aiosqlite_connection:
        made = super().connect(*arg, **kw)
        return _Connection(self, made._connection)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def one_trip_driver() -> AsyncAdapt_aiosqlite_dbapi:
    """Return the driver, to be given to `create_async_engine` as its `module`."""
    return _Driver(aiosqlite, sqlite3)
