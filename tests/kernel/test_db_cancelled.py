"""Callers that are cancelled while the thread of SQLite's connection is at work for them."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import text

from muster.kernel.db import Database, after_commit
from muster.kernel.db.sqlite_driver import _quiet_connection

pytestmark = pytest.mark.anyio


class Paused:
    """Work in two statements that waits between them."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, connection: Any) -> None:
        connection.execute(text("INSERT INTO numbers VALUES (1)"))
        self.begun.set()
        assert self.go.wait(30)
        connection.execute(text("INSERT INTO numbers VALUES (2)"))

    async def start(self, database: Database) -> "asyncio.Task[None]":
        """Begin the work, and return when it waits. No thread of the loop's own is made."""
        task = asyncio.create_task(database.transact(self))
        while not self.begun.is_set():
            await asyncio.sleep(0.001)
        return task


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/own.db")
    async with database.connect() as connection:
        await connection.execute(text("CREATE TABLE numbers (number int)"))
    yield database
    await database.dispose()


async def fail(database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("INSERT INTO numbers VALUES (3)"))
        raise ZeroDivisionError


async def numbers(database: Database) -> list[int]:
    async with database.read() as session:
        return list(await session.scalars(text("SELECT number FROM numbers ORDER BY number")))


async def test_what_was_begun_is_done_whole(store: Database) -> None:
    work = Paused()
    task = await work.start(store)
    task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    work.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await numbers(store) == [1, 2]


async def test_the_next_unit_of_work_is_undone_as_ever(store: Database) -> None:
    work = Paused()
    task = await work.start(store)
    task.cancel()
    work.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ZeroDivisionError):
        await fail(store)
    await store.transact(lambda c: c.execute(text("INSERT INTO numbers VALUES (4)")))
    assert await numbers(store) == [1, 2, 4]


async def test_dispose_waits_for_the_work_of_those_who_wait_no_more(store: Database) -> None:
    before = set(threading.enumerate())
    other, work = Database(store.url), Paused()
    task = await work.start(other)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.05, work.go.set)
    await other.dispose()
    assert set(threading.enumerate()) <= before
    assert await numbers(store) == [1, 2]


async def test_what_waits_for_a_commit_hears_of_it_although_its_caller_is_cancelled(
    store: Database,
) -> None:
    heard = asyncio.Event()
    committing = asyncio.Event()

    async def hear() -> None:
        committing.set()
        await asyncio.sleep(0.01)
        heard.set()

    async def work() -> None:
        async with store.write() as session:
            await session.execute(text("INSERT INTO numbers VALUES (1)"))
            after_commit(session, hear)

    task = asyncio.create_task(work())
    await committing.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard.is_set()
    assert await numbers(store) == [1]


async def opened(path: Path, go: threading.Event) -> aiosqlite.Connection:
    connection = _quiet_connection(f"{path}/own.db")
    await connection
    connection._tx.put_nowait((None, lambda: go.wait(30)))  # keeps its thread at work
    return connection


async def collected(connection: aiosqlite.Connection) -> None:
    connection.stop()


def test_a_connection_that_nobody_closed_disturbs_no_loop(tmp_path: Path) -> None:
    faults: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", faults.append)
        go = threading.Event()
        connection = asyncio.run(opened(tmp_path, go))
        asyncio.run(collected(connection))  # which is over before the thread is
        go.set()
        connection._thread.join(30)
    assert faults == []
    assert connection._connection is None
