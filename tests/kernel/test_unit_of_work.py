"""The unit of work: all or nothing, and what is run around its commit."""

import asyncio

import pytest
from sqlalchemy import func, select

from muster.kernel.db import Database, after_commit, before_commit
from tests.kernel.things import Thing, Things

pytestmark = pytest.mark.anyio


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(Thing.name).order_by(Thing.name)))


async def test_all_changes_are_committed_together(
    database: Database, projects: tuple[str, str]
) -> None:
    async with database.write() as session:
        things = Things(session, projects[0])
        await things.add(name="one")
        await things.add(name="two")
        assert await names(database) == []
    assert await names(database) == ["one", "two"]


async def test_an_exception_undoes_everything(
    database: Database, projects: tuple[str, str]
) -> None:
    with pytest.raises(LookupError):  # noqa: PT012 - the commit is part of it
        async with database.write() as session:
            await Things(session, projects[0]).add(name="one")
            raise LookupError
    assert await names(database) == []
    async with database.write() as session:
        await Things(session, projects[0]).add(name="later")
    assert await names(database) == ["later"]


async def test_cancellation_undoes_everything(
    database: Database, projects: tuple[str, str]
) -> None:
    added = asyncio.Event()

    async def work() -> None:
        async with database.write() as session:
            await Things(session, projects[0]).add(name="one")
            added.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await added.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.write() as session:
        await Things(session, projects[0]).add(name="next")
    assert await names(database) == ["next"]


async def test_hooks_run_after_the_commit_in_their_order(
    database: Database, projects: tuple[str, str]
) -> None:
    seen: list[object] = []

    async def look() -> None:
        seen.append(await names(database))

    async def write_again() -> None:
        # The connection is free again; on SQLite there is but one that writes.
        async with database.write() as session:
            await Things(session, projects[0]).add(name="two")
        seen.append("written")

    async with database.write() as session:
        await Things(session, projects[0]).add(name="one")
        after_commit(session, look)
        after_commit(session, write_again)
        assert seen == []
    assert seen == [["one"], "written"]
    assert await names(database) == ["one", "two"]


async def test_hooks_do_not_run_after_a_rollback(
    database: Database, projects: tuple[str, str]
) -> None:
    ran: list[str] = []

    async def note() -> None:
        ran.append("after")

    with pytest.raises(LookupError):  # noqa: PT012 - the commit is part of it
        async with database.write() as session:
            after_commit(session, note)
            raise LookupError
    assert ran == []


async def test_a_failed_commit_runs_no_hook(database: Database, projects: tuple[str, str]) -> None:
    ran: list[str] = []

    async def note() -> None:
        ran.append("after")

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):  # noqa: PT012 - the commit is part of it
        async with database.write() as session:
            await Things(session, projects[0]).add(name="one")
            before_commit(session, "fails", fail)
            after_commit(session, note)
    assert ran == []
    assert await names(database) == []


async def test_before_commit_runs_once_per_name_inside_the_transaction(
    database: Database, projects: tuple[str, str]
) -> None:
    seen: list[tuple[str, int]] = []

    async with database.write() as session:

        async def count(name: str) -> None:
            found = await session.scalar(select(func.count()).select_from(Thing))
            seen.append((name, found or 0))

        async def first() -> None:
            await Things(session, projects[0]).add(name="by a hook")
            await count("first")
            before_commit(session, "third", lambda: count("third"))

        before_commit(session, "first", first)
        before_commit(session, "first", lambda: count("never"))
        before_commit(session, "second", lambda: count("second"))
        await Things(session, projects[0]).add(name="one")
        assert seen == []
    assert seen == [("first", 2), ("second", 2), ("third", 2)]
    assert await names(database) == ["by a hook", "one"]


async def test_sessions_carry_what_hooks_need(database: Database) -> None:
    database.info["live"] = "the bus"
    async with database.write() as session:
        assert session.info["live"] == "the bus"

        async def nothing() -> None: ...

        after_commit(session, nothing)
    async with database.write() as session:
        assert "after_commit" not in session.info
    assert database.info == {"live": "the bus"}


async def test_objects_can_be_read_after_the_commit(
    database: Database, projects: tuple[str, str]
) -> None:
    async with database.write() as session:
        thing = await Things(session, projects[0]).add(name="one", data={"a": [1, None]})
    assert (thing.name, thing.data) == ("one", {"a": [1, None]})
    assert thing.created_at.tzinfo is not None
