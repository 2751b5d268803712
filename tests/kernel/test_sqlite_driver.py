"""SQLite's driver: short statements in the loop, long ones beside it, none lost if cancelled."""

import asyncio
import sqlite3

import pytest
from sqlalchemy import bindparam, column, select, table, text
from sqlalchemy.exc import IntegrityError, OperationalError

from muster.kernel.db import Database

pytestmark = pytest.mark.anyio

COUNT = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :last) "
    "SELECT count(*), max(i) FROM n"
)
LONG = {"last": 1_000_000}


@pytest.fixture
async def things(own: Database) -> Database:
    async with own.connect() as connection:
        await connection.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)"))
    return own


async def names(things: Database) -> list[str]:
    async with things.read() as session:
        return [row.name for row in await session.execute(text("SELECT name FROM things"))]


async def test_a_long_read_does_not_hold_the_loop(things: Database) -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(take_turns())
    async with things.read() as session:
        found = (await session.execute(COUNT, LONG)).one()
    other.cancel()
    assert tuple(found) == (LONG["last"], LONG["last"])
    assert turns > 10


async def test_a_short_read_gives_nobody_else_a_turn(things: Database) -> None:
    async with things.read() as session:
        await session.execute(COUNT, {"last": 1})  # the connection is there now
        turned = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turned.set_result, None)
        assert (await session.execute(COUNT, {"last": 2})).one()[0] == 2
        assert not turned.done()
        await turned


async def test_many_rows_at_once(things: Database) -> None:
    rows = [{"id": number, "name": str(number)} for number in range(1000)]
    async with things.write() as session:
        await session.execute(text("INSERT INTO things VALUES (:id, :name)"), rows)
        await session.execute(text("DELETE FROM things WHERE id >= 10"))
    assert await names(things) == [str(number) for number in range(10)]


async def test_a_refused_statement_says_why_and_undoes_all(things: Database) -> None:
    async def write() -> None:
        async with things.write() as session:
            await session.execute(text("INSERT INTO things VALUES (1, 'a')"))
            await session.execute(text("INSERT INTO things VALUES (1, 'b')"))

    with pytest.raises(IntegrityError):
        await write()
    async with things.read() as session:
        with pytest.raises(OperationalError, match="no such table"):
            await session.execute(text("SELECT * FROM missing"))
    assert await names(things) == []


async def test_a_reader_cannot_write(things: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        async with things.read() as session:
            await session.execute(text("INSERT INTO things VALUES (1, 'a')"))


async def test_a_read_that_is_cancelled_leaves_the_others_whole(things: Database) -> None:
    async def read() -> None:
        async with things.read() as session:
            await session.execute(COUNT, {"last": 2_000_000})

    readers = [asyncio.create_task(read()) for _ in range(8)]
    await asyncio.wait(readers, timeout=0.05)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert await names(things) == []


async def test_a_write_waits_for_another_process(things: Database) -> None:
    async def write() -> None:
        async with things.write() as session:
            await session.execute(text("INSERT INTO things (name) VALUES ('late')"))

    other = sqlite3.connect(things.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(write())
    # The loop goes on meanwhile.
    await asyncio.wait([waiting], timeout=0.05)
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    await waiting
    assert await names(things) == ["late"]


async def test_a_write_that_is_cancelled_while_it_waits(things: Database) -> None:
    async def write(name: str) -> None:
        async with things.write() as session:
            await session.execute(text("INSERT INTO things (name) VALUES (:name)"), {"name": name})

    await write("first")
    other = sqlite3.connect(things.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(write("cancelled"))
    await asyncio.wait([waiting], timeout=0.05)
    assert not waiting.done()
    waiting.cancel()
    ended = asyncio.gather(waiting, return_exceptions=True)
    other.execute("ROLLBACK")
    other.close()
    await ended
    assert waiting.cancelled()
    await write("last")
    assert await names(things) == ["first", "last"]


async def test_one_row_is_read_without_a_session(things: Database) -> None:
    things_table = table("things", column("id"), column("name"))
    first = select(things_table.c.name).where(things_table.c.id == bindparam("id"))
    assert await things.peek(first, {"id": 1}) is None
    async with things.write() as session:
        await session.execute(text("INSERT INTO things (name) VALUES ('a')"))
    found = await things.peek(first, {"id": 1})
    assert found is not None
    assert found.name == "a"
