"""Engines, types and repositories, on both databases."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from muster.kernel.db import Database, Repository, is_unique_violation
from muster.kernel.db.base import UTCDateTime
from muster.kernel.errors import Conflict, NotFound
from muster.kernel.ids import new_id
from muster.kernel.paging import ListParams
from tests.kernel.things import THINGS, NoSuchThing, Thing, ThingNameTaken, Things

pytestmark = pytest.mark.anyio

TASKS = 8
ROUNDS = 10


@pytest.fixture
async def counter(database: Database, projects: tuple[str, str]) -> str:
    async with database.write() as session:
        return (await Things(session, projects[0]).add(name="counter")).id


async def rank_of(database: Database, id: str) -> int | None:
    async with database.read() as session:
        return await session.scalar(select(Thing.rank).where(Thing.id == id))


# --- writers and readers ----------------------------------------------------------------------


async def test_writers_lose_no_update(database: Database, counter: str) -> None:
    async def work() -> None:
        for _ in range(ROUNDS):
            async with database.write() as session:
                statement = select(Thing).where(Thing.id == counter).with_for_update()
                thing = (await session.scalars(statement)).one()
                await asyncio.sleep(0)
                thing.rank += 1

    await asyncio.gather(*(work() for _ in range(TASKS)))
    assert await rank_of(database, counter) == TASKS * ROUNDS


async def test_all_ways_to_write_exclude_each_other(database: Database, counter: str) -> None:
    mine = Thing.id == counter

    def by_hand(connection: Any) -> None:
        found = connection.scalar(select(Thing.rank).where(mine).with_for_update())
        connection.execute(update(THINGS).where(mine).values(rank=found + 1))

    async def with_orm() -> None:
        for _ in range(ROUNDS):
            async with database.write() as session:
                thing = (await session.scalars(select(Thing).where(mine).with_for_update())).one()
                thing.rank += 1

    async def direct() -> None:
        for _ in range(ROUNDS):
            await database.transact(by_hand)

    async def plain() -> None:
        for _ in range(ROUNDS):
            async with database.connect() as connection:
                await connection.run_sync(by_hand)

    await asyncio.gather(*(work() for work in (with_orm, direct, plain) for _ in range(3)))
    assert await rank_of(database, counter) == 9 * ROUNDS


async def test_readers_do_not_wait_for_a_writer(database: Database, counter: str) -> None:
    async with database.write() as writing:
        await writing.execute(update(Thing).where(Thing.id == counter).values(rank=7))
        async with asyncio.timeout(5):
            found = await asyncio.gather(*(rank_of(database, counter) for _ in range(4)))
        assert found == [0] * 4
    assert await rank_of(database, counter) == 7


async def test_a_write_session_that_is_not_used_holds_nothing(
    database: Database, counter: str
) -> None:
    async with database.write(), asyncio.timeout(5), database.write() as second:
        await second.execute(update(Thing).values(rank=1))
    assert await rank_of(database, counter) == 1


async def test_a_foreign_key_holds(database: Database, projects: tuple[str, str]) -> None:
    for values in ({"project_id": new_id()}, {"parent_id": new_id()}):
        with pytest.raises(IntegrityError) as broken:
            async with database.write() as session:
                session.add(Thing(**({"project_id": projects[0], "name": "x"} | values)))
        assert not is_unique_violation(broken.value)


async def test_the_rows_of_a_project_go_with_it(
    database: Database, projects: tuple[str, str], counter: str
) -> None:
    async with database.write() as session:
        await session.execute(text("DELETE FROM projects WHERE id = :id"), {"id": projects[0]})
    assert await rank_of(database, counter) is None


# --- transact ---------------------------------------------------------------------------------


async def test_transact_commits_and_returns(database: Database, projects: tuple[str, str]) -> None:
    def work(connection: Any) -> list[str]:
        values = {"id": new_id(), "project_id": projects[0], "rank": 2**62, "data": {"é": 1}}
        connection.execute(insert(THINGS).values(name="b", **values))
        return [row.name for row in connection.execute(select(THINGS.c.name))]

    assert await database.transact(work) == ["b"]
    async with database.read() as session:
        thing = (await session.scalars(select(Thing))).one()
    assert (thing.rank, thing.data) == (2**62, {"é": 1})


async def test_transact_writes_what_the_orm_would_write(
    database: Database, projects: tuple[str, str]
) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6789, tzinfo=timezone(timedelta(hours=5)))
    data = {"text": "Grüße", "at": moment}

    def work(connection: Any) -> None:
        connection.execute(
            insert(THINGS).values(
                id=new_id(), project_id=projects[0], name="direct", seen_at=moment, data=data
            )
        )

    await database.transact(work)
    async with database.write() as session:
        await Things(session, projects[0]).add(name="orm", seen_at=moment, data=data)
    async with database.read() as session:
        as_text = "CAST(seen_at AS TEXT), CAST(data AS TEXT)"
        rows = (await session.execute(text(f"SELECT {as_text} FROM kernel_test_things"))).all()
        read = (await session.scalars(select(Thing))).all()
    assert rows[0] == rows[1]
    assert [thing.seen_at for thing in read] == [moment, moment]


async def test_transact_undoes_everything_on_an_exception(
    database: Database, projects: tuple[str, str]
) -> None:
    def work(connection: Any) -> None:
        values = {"id": new_id(), "project_id": projects[0], "rank": 0}
        connection.execute(insert(THINGS).values(name="x", **values))
        raise LookupError("no")

    def count(connection: Any) -> int:
        return connection.scalar(select(func.count()).select_from(THINGS))

    with pytest.raises(LookupError):
        await database.transact(work)
    assert await database.transact(count) == 0


async def test_transact_translates_the_errors_of_the_driver(
    database: Database, counter: str, projects: tuple[str, str]
) -> None:
    def again(connection: Any) -> None:
        values = {"id": new_id(), "project_id": projects[0], "rank": 0}
        connection.execute(insert(THINGS).values(name="counter", **values))

    for _ in range(2):
        with pytest.raises(IntegrityError) as broken:
            await database.transact(again)
        assert is_unique_violation(broken.value)
    with pytest.raises(DBAPIError):
        await database.transact(lambda connection: connection.execute(text("SELECT nothing")))
    assert await rank_of(database, counter) == 0


async def test_transact_after_the_connection_was_replaced(database: Database, counter: str) -> None:
    statement = update(THINGS).values(rank=THINGS.c.rank + 1)
    await database.transact(lambda connection: connection.execute(statement))
    await database.dispose()
    await database.transact(lambda connection: connection.execute(statement))
    assert await rank_of(database, counter) == 2


async def test_a_cancelled_transact_leaves_the_database_usable(
    database: Database, counter: str
) -> None:
    begun = threading.Event()

    def slow(connection: Any) -> None:
        connection.execute(update(THINGS).values(rank=THINGS.c.rank + 1))
        begun.set()

    task = asyncio.create_task(database.transact(slow))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.transact(lambda c: c.execute(update(THINGS).values(rank=THINGS.c.rank + 10)))
    assert await rank_of(database, counter) in {10, 11}


# --- types ------------------------------------------------------------------------------------


async def test_times_come_back_as_they_were(database: Database, projects: tuple[str, str]) -> None:
    east = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    naive = datetime(2026, 7, 1, 12, 0)  # noqa: DTZ001
    async with database.write() as session:
        things = Things(session, projects[0])
        for name, moment in (("east", east), ("naive", naive), ("none", None)):
            await things.add(name=name, seen_at=moment)
    async with database.read() as session:
        rows = await session.execute(select(Thing.name, Thing.seen_at))
        found = {row.name: row.seen_at for row in rows}
        late = await session.scalars(select(Thing.name).where(Thing.seen_at > east))
        assert list(late) == ["naive"]
    assert found == {"east": east, "naive": naive.replace(tzinfo=UTC), "none": None}
    assert found["east"].utcoffset() == timedelta(0)


def test_the_type_of_a_time_is_known_to_cursors() -> None:
    assert UTCDateTime().python_type is datetime


async def test_none_is_null_and_inner_nulls_stay(
    database: Database, projects: tuple[str, str]
) -> None:
    data = {"a": None, "b": [None, True, 1.5, "é", {}], "big": 2**53 + 1}
    async with database.write() as session:
        things = Things(session, projects[0])
        await things.add(name="none", data=None)
        await things.add(name="data", data=data)
    async with database.read() as session:
        empty = await session.scalars(select(Thing.name).where(Thing.data.is_(None)))
        assert list(empty) == ["none"]
        assert await session.scalar(select(Thing.data).where(Thing.name == "data")) == data


async def test_a_change_moves_updated_at_alone(
    database: Database, projects: tuple[str, str], counter: str
) -> None:
    async with database.write() as session:
        things = Things(session, projects[0])
        thing = await things.get(counter)
        before = (thing.created_at, thing.updated_at)
        await things.update(thing, rank=5)
    assert thing.created_at == before[0]
    assert thing.updated_at > before[1]


# --- repository -------------------------------------------------------------------------------


async def test_a_repository_sees_one_project(
    database: Database, projects: tuple[str, str], counter: str
) -> None:
    async with database.write() as session:
        mine, other = (Things(session, project) for project in projects)
        assert (await mine.get(counter)).name == "counter"
        assert await other.find(counter) is None
        with pytest.raises(NoSuchThing) as missing:
            await other.get(counter)
        assert (missing.value.status, missing.value.code) == (404, "thing_not_found")
        await other.add(name="counter")
        for things in (mine, other):
            page = await things.page(things.query(), ListParams(), (Thing.name, False))
            assert (page.total, [t.project_id for t in page.items]) == (1, [things.project_id])


async def test_a_taken_name_is_a_conflict(
    database: Database, projects: tuple[str, str], counter: str
) -> None:
    with pytest.raises(ThingNameTaken):
        async with database.write() as session:
            await Things(session, projects[0]).add(name="counter")
    with pytest.raises(ThingNameTaken):  # noqa: PT012 - the commit is part of it
        async with database.write() as session:
            things = Things(session, projects[0])
            thing = await things.add(name="free")
            await things.update(thing, name="counter")
    with pytest.raises(ThingNameTaken):
        async with database.write() as session:
            await Things(session, projects[1]).add(id=counter, name="same id")


async def test_other_broken_constraints_are_not_called_taken(
    database: Database, projects: tuple[str, str]
) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            await Things(session, projects[0]).add(name=None)


async def test_a_deleted_row_is_gone(
    database: Database, projects: tuple[str, str], counter: str
) -> None:
    async with database.write() as session:
        things = Things(session, projects[0])
        await things.delete(await things.get(counter))
        assert await things.find(counter) is None


def test_a_repository_has_errors_of_its_own_or_plain_ones() -> None:
    assert (Repository.missing, Repository.taken) == (NotFound, Conflict)


# --- PostgreSQL and SQLite --------------------------------------------------------------------


async def test_the_kind_of_the_database(database: Database, database_kind: str) -> None:
    assert (database.dialect, database.is_sqlite) == (database_kind, database_kind == "sqlite")


async def test_addresses_with_sslmode(database_url: str, database: Database) -> None:
    given = Database(database_url + ("" if database.is_sqlite else "?sslmode=disable"))
    async with given.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    await given.dispose()


@pytest.fixture
async def sqlite_database(tmp_path: Path) -> Any:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/new/folder/own.db")
    yield database
    await database.dispose()


async def test_sqlite_is_set_up_to_survive_a_power_cut(sqlite_database: Database) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    async with sqlite_database.write() as writing, sqlite_database.read() as reading:
        for session, read_only in ((writing, 0), (reading, 1)):
            for pragma, value in (wanted | {"query_only": read_only}).items():
                assert await session.scalar(text(f"PRAGMA {pragma}")) == value, pragma


async def test_sqlite_readers_cannot_write(sqlite_database: Database) -> None:
    async with sqlite_database.read() as session:
        with pytest.raises(DBAPIError, match="readonly"):
            await session.execute(text("CREATE TABLE t (a)"))


async def test_sqlite_writers_take_the_lock_at_once(
    sqlite_database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "folder" / "own.db"
    async with sqlite_database.write() as session:
        await session.execute(text("SELECT 1"))
        other = sqlite3.connect(path, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


async def test_a_writer_that_never_ends_is_given_up_on(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database._writer.sync_engine.pool, "_timeout", 0.1)
    async with sqlite_database.write() as first:
        await first.execute(text("SELECT 1"))
        with pytest.raises(PoolTimeout):
            async with sqlite_database.write() as second:
                await second.execute(text("SELECT 1"))


async def test_dispose_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/own.db")
    async with database.write() as one, database.read() as two:
        await one.execute(text("SELECT 1"))
        await two.execute(text("SELECT 1"))
    await database.transact(lambda connection: connection.execute(text("SELECT 1")))
    assert len(set(threading.enumerate()) - before) == 2
    await database.dispose()
    assert not set(threading.enumerate()) - before


OTHER_PROCESS = """
import asyncio, sys
from sqlalchemy import text
from muster.kernel.db import Database

async def work():
    database = Database(sys.argv[1])
    for _ in range(int(sys.argv[2])):
        async with database.write() as session:
            lock = "" if database.is_sqlite else " FOR UPDATE"
            rank = await session.scalar(text("SELECT rank FROM kernel_test_things" + lock))
            await session.execute(text("UPDATE kernel_test_things SET rank = :r"), {"r": rank + 1})
    await database.dispose()

asyncio.run(work())
"""


async def test_two_processes_lose_no_update(
    database: Database, counter: str, database_url: str
) -> None:
    command = [sys.executable, "-c", OTHER_PROCESS, database_url, "30"]
    other = asyncio.create_task(
        asyncio.to_thread(subprocess.run, command, check=True, timeout=60, capture_output=True)
    )
    mine = 0
    while not other.done() or mine < 30:
        async with database.write() as session:
            thing = (await session.scalars(select(Thing).with_for_update())).one()
            thing.rank += 1
        mine += 1
        await asyncio.sleep(0.005)
    await other
    assert await rank_of(database, counter) == mine + 30
