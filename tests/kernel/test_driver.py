"""SQLite's driver: what SQLAlchemy relies on when a statement is one change of thread."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.db import Database

pytestmark = pytest.mark.anyio

ROWS = Table(
    "rows",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("name", String(50), unique=True),
)


@pytest.fixture
async def rows(own: Database) -> Database:
    async with own.connect() as connection:
        await connection.run_sync(ROWS.create)
    return own


@pytest.fixture
async def session(rows: Database) -> AsyncIterator[AsyncSession]:
    async with rows.write() as session:
        yield session


async def test_rows_come_one_by_one_in_parts_and_all(session: AsyncSession) -> None:
    await session.execute(insert(ROWS), [{"name": f"row {n}"} for n in range(10)])
    result = await session.execute(select(ROWS.c.number).order_by(ROWS.c.number))
    assert result.fetchone() == (1,)
    assert result.fetchmany(2) == [(2,), (3,)]
    assert [row.number for row in result.partitions(3).__next__()] == [4, 5, 6]
    assert result.fetchall() == [(7,), (8,), (9,), (10,)]
    assert result.fetchone() is None
    assert list((await session.execute(select(ROWS.c.number).limit(0))).keys()) == ["number"]


async def test_returning(session: AsyncSession) -> None:
    added = await session.execute(insert(ROWS).values(name="a").returning(ROWS))
    assert added.one() == (1, "a")
    many = await session.scalars(
        insert(ROWS).returning(ROWS.c.number, sort_by_parameter_order=True),
        [{"name": "b"}, {"name": "c"}],
    )
    assert many.all() == [2, 3]
    changed = await session.execute(update(ROWS).values(name=None).returning(ROWS.c.number))
    assert sorted(changed.scalars()) == [1, 2, 3]


async def test_counts_and_the_last_row(session: AsyncSession) -> None:
    raw = await session.connection()
    one = await raw.exec_driver_sql("INSERT INTO rows (name) VALUES (?)", ("a",))
    assert (one.rowcount, one.lastrowid, one.returns_rows) == (1, 1, False)
    many = await raw.exec_driver_sql("INSERT INTO rows (name) VALUES (?)", [("b",), ("c",)])
    assert many.rowcount == 2
    changed = await session.execute(update(ROWS).where(ROWS.c.number > 1).values(name=None))
    assert changed.rowcount == 2  # type: ignore[attr-defined]
    assert (await raw.exec_driver_sql("SELECT 1")).returns_rows


async def test_a_cursor_that_did_nothing(rows: Database) -> None:
    def look(connection: object) -> tuple[object, ...]:
        driver = connection.connection.dbapi_connection  # type: ignore[attr-defined]
        cursor = driver.cursor()
        before = (cursor.description, cursor.rowcount, cursor.lastrowid)
        cursor.execute("CREATE TABLE other (a)")
        after = (cursor.description, cursor.fetchall())
        cursor.close()
        return before + after

    async with rows.connect() as connection:
        assert await connection.run_sync(look) == (None, -1, None, None, [])


async def test_errors_are_sqlalchemys(rows: Database) -> None:
    async with rows.write() as session:
        await session.execute(insert(ROWS).values(name="a"))
    with pytest.raises(IntegrityError):
        async with rows.write() as session:
            await session.execute(insert(ROWS).values(name="a"))
    with pytest.raises(IntegrityError):  # noqa: PT012 - the commit is part of it
        async with rows.write() as session:
            raw = await session.connection()
            await raw.exec_driver_sql("INSERT INTO rows (name) VALUES (?)", [("b",), ("b",)])
    with pytest.raises(OperationalError, match="no such table"):
        async with rows.write() as session:
            await session.execute(text("SELECT * FROM missing"))
    async with rows.read() as session:
        assert await session.scalar(select(func.count()).select_from(ROWS)) == 1


async def test_a_closed_connection_is_an_operational_error(rows: Database) -> None:
    async with rows._reader.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.close()
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1"))
        await connection.invalidate()
    async with rows.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_values_at_the_edges(session: AsyncSession) -> None:
    await session.execute(insert(ROWS).values(number=2**63 - 1, name="a\0b"))
    assert (await session.execute(select(ROWS))).one() == (2**63 - 1, "a\0b")
    with pytest.raises(OverflowError):
        await session.execute(insert(ROWS).values(number=2**63))
    with pytest.raises(UnicodeEncodeError):
        await session.execute(insert(ROWS).values(name="\ud800"))
    assert await session.scalar(select(func.count()).select_from(ROWS)) == 1


async def test_rows_can_be_streamed(session: AsyncSession) -> None:
    await session.execute(insert(ROWS), [{"name": f"row {n}"} for n in range(500)])
    result = await session.stream(select(ROWS.c.number).execution_options(yield_per=100))
    assert [row.number async for row in result] == list(range(1, 501))
