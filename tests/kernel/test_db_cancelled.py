"""Callers that are cancelled while the thread of SQLite's connection is at work for them."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from muster.kernel.db import Database, after_commit, sqlite_connection

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
async def store(own: Database) -> Database:
    async with own.connect() as connection:
        await connection.execute(text("CREATE TABLE numbers (number int)"))
    return own


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


class SlowFile:
    """`sqlite3.connect` that waits until it may go on."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self._connect = sqlite3.connect

    def __call__(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        self.begun.set()
        assert self.go.wait(30)
        return self._connect(*arguments, **options)

    async def cancel(self, work: Awaitable[object]) -> None:
        """Cancel the work while it waits for the file."""

        async def wait() -> None:
            await work

        task = asyncio.create_task(wait())
        while not self.begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
def slow_file(monkeypatch: pytest.MonkeyPatch) -> SlowFile:
    slow = SlowFile()
    monkeypatch.setattr(sqlite3, "connect", slow)
    return slow


def test_a_thread_that_nobody_waits_for_any_more_comes_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow_file: SlowFile
) -> None:
    faults: list[object] = []
    monkeypatch.setattr(threading, "excepthook", faults.append)
    connection = sqlite_connection(f"{tmp_path}/own.db")
    asyncio.run(slow_file.cancel(connection))  # which is over before the thread is
    slow_file.go.set()
    connection._thread.join(30)
    assert not connection._thread.is_alive()
    assert faults == []


async def test_dispose_waits_for_a_file_that_nobody_waits_for_any_more(
    tmp_path: Path, slow_file: SlowFile
) -> None:
    before = set(threading.enumerate())
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/own.db")
    await slow_file.cancel(numbers(database))
    asyncio.get_running_loop().call_later(0.05, slow_file.go.set)
    await database.dispose()
    assert set(threading.enumerate()) <= before
