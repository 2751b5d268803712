"""Statements of hot paths: compiled once, and given to the driver as they are from then on.

What SQLAlchemy does around a statement each time (looking it up, making a context and a result,
taking each value through its processor by name) costs several times what a short statement costs
itself.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

from muster.kernel.db.sqlite_driver import at_hand

Processor = Callable[[Any], Any] | None


class Compiled:
    """A statement in the words of one dialect: its text, and where its values go."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what statements compile to
        self.text = str(compiled)
        # A value that is missing is a fault of the caller, not an SQL NULL.
        self._fixed = {n: value for n, value in compiled.params.items() if value is not None}
        self._binds: list[tuple[str, Processor]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values of the statement, in its order."""
        if self._fixed:
            given = {**self._fixed, **given}
        return tuple([process(given[n]) if process else given[n] for n, process in self._binds])


class Prepared:
    """A statement of Core that is built once, with `bindparam`s for its values.

    Defaults of columns do not apply: every value is given. Rows of the result are what the driver
    returns: for columns whose type changes nothing. It touches few rows, by an index.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]] | Insert | Update | Delete) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def execute(self, connection: Connection, *values: Mapping[str, Any]) -> list[Any]:
        """Execute it with each of the values, in the transaction of the connection.

        Return the rows.
        """
        compiled = self._compiled.get(connection.dialect.name)
        if compiled is None:
            compiled = Compiled(self._statement, connection.dialect)
            self._compiled[connection.dialect.name] = compiled
        rows = [compiled.values(given) for given in values]
        if (direct := at_hand(connection, len(rows))) is not None:
            try:
                return _executed(direct, compiled.text, rows)
            except sqlite3.Error as error:
                raise DBAPIError.instance(
                    compiled.text, rows, error, sqlite3.Error, dialect=connection.dialect
                ) from error
        result = connection.exec_driver_sql(compiled.text, rows if len(rows) > 1 else rows[0])
        return list(result.all()) if result.returns_rows else []

    async def within(self, session: AsyncSession, **values: Any) -> list[Any]:
        """Execute it in a unit of work, after what has changed in that so far; return the rows."""

        def execute(unit: Session) -> list[Any]:
            unit.flush()
            return self.execute(unit.connection(), values)

        return await session.run_sync(execute)


def _executed(connection: sqlite3.Connection, text: str, rows: list[tuple[Any, ...]]) -> list[Any]:
    if len(rows) == 1:
        return connection.execute(text, rows[0]).fetchall()
    connection.executemany(text, rows)
    return []
