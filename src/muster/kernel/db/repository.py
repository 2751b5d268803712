"""The only door to tables whose rows belong to a project."""

from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.db.base import ProjectRecord
from muster.kernel.errors import Conflict, NotFound
from muster.kernel.paging import ListParams, Rows, SortKey, paginate

M = TypeVar("M", bound=ProjectRecord)


class Repository(Generic[M]):
    """Access to one table within one project. Every query starts at `query()`."""

    model: type[M]
    missing: ClassVar[type[NotFound]] = NotFound
    taken: ClassVar[type[Conflict]] = Conflict

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self.session = session
        self.project_id = project_id

    def query(self) -> Select[Any]:
        """Return the statement that every query of this table begins with."""
        return select(self.model).where(self.model.project_id == self.project_id)

    async def find(self, id: str) -> M | None:
        """Return the row, or None where the project has no such row."""
        row: M | None = await self.session.scalar(self.query().where(self.model.id == id))
        return row

    async def get(self, id: str) -> M:
        """Return the row, or raise the table's not-found error."""
        row = await self.find(id)
        if row is None:
            raise self.missing
        return row

    async def add(self, **values: Any) -> M:
        """Insert a row; a clash with a unique constraint raises the table's conflict error."""
        row = self.model(project_id=self.project_id, **values)
        self.session.add(row)
        await self.flush()
        return row

    async def update(self, row: M, **values: Any) -> M:
        """Change the given columns of a row."""
        for name, value in values.items():
            setattr(row, name, value)
        await self.flush()
        return row

    async def delete(self, row: M) -> None:
        """Delete a row."""
        await self.session.delete(row)
        await self.session.flush()

    async def page(self, statement: Select[Any], params: ListParams, sort: SortKey) -> Rows[M]:
        """Return one page of `statement`."""
        return await paginate(self.session, statement, params, sort=sort, tiebreak=self.model.id)

    async def flush(self) -> None:
        """Send the pending changes, translating a unique violation into the conflict error."""
        try:
            await self.session.flush()
        except IntegrityError as error:
            if is_unique_violation(error):
                raise self.taken from error
            raise


def is_unique_violation(error: IntegrityError) -> bool:
    """Tell a unique violation from other broken constraints, on both databases."""
    name = getattr(error.orig, "sqlite_errorname", "")
    if name in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}:
        return True
    return getattr(error.orig, "sqlstate", None) == "23505"
