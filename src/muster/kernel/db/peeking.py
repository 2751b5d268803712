"""Reading one row of SQLite in the thread of the event loop, with a statement that is built once.

What SQLAlchemy does around a statement (looking it up, making a context and a result) takes ten
times as long as SQLite takes for an indexed row. Here it is compiled once; each time after that its
values are put in, and the row's are read, with the same processors of types.
"""

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Dialect, Engine, Select

from muster.kernel.db.prepared import Compiled, Processor

Peeked = Any
"""A row: a tuple whose values are attributes too."""


class _Plan(Compiled):
    """How a statement is executed, and how its row is read."""

    def __init__(self, statement: Select[*tuple[Any, ...]], dialect: Dialect) -> None:
        super().__init__(statement, dialect)
        columns = list(statement.selected_columns)
        self._readers: list[Processor] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        names = [str(column.key) for column in columns]
        # What has no name, such as a sum, is read by its place.
        self._row = namedtuple("_Row", names, rename=True)  # type: ignore[misc] # noqa: PYI024

    def read(self, found: tuple[Any, ...]) -> Peeked:
        """Return a row of SQLite with the values that its columns mean."""
        pairs = zip(found, self._readers, strict=True)
        return self._row._make([read(value) if read else value for value, read in pairs])


class Peeker:
    """Executes statements that are built once; each is kept with its plan.

    Args:
        engine: Gives the one connection, which only reads and is in no transaction.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._plans: dict[Select[*tuple[Any, ...]], _Plan] = {}

    def first(
        self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]
    ) -> Peeked | None:
        """Return the first row, or None."""
        plan = self._plans.get(statement)
        if plan is None:
            plan = self._plans[statement] = _Plan(statement, self._engine.dialect)
        if self._connection is None:
            self._connection = self._engine.raw_connection()
        cursor = self._connection.cursor()
        try:
            found = cursor.execute(plan.text, plan.values(parameters)).fetchone()
        finally:
            # A statement that is not at its end keeps its view of the database.
            cursor.close()
        return None if found is None else plan.read(found)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()
