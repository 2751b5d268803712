"""A small table held in memory: read once, again after news, and never at the cost of a pool."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.cached import Cached
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.platform.projects import Project

pytestmark = pytest.mark.anyio

TOPIC = "names"
LONG_S = 3600.0


class Names:
    """The names of projects, and how often they were read."""

    def __init__(self, database: Database, max_age_s: float = LONG_S) -> None:
        self.loads = 0
        self.live = LiveBus(database)
        version: Any = select(func.count(Project.id))
        self.cached = Cached(
            database,
            self.live,
            topic=TOPIC,
            version=version,
            load=self._load,
            max_age_s=max_age_s,
        )

    async def _load(self, session: AsyncSession) -> list[str]:
        self.loads += 1
        return list((await session.scalars(select(Project.name).order_by(Project.name))).all())

    def tell(self) -> None:
        self.live.publish(TOPIC, {"type": "changed"})


async def add(database: Database, name: str) -> None:
    async with database.write() as session:
        session.add(Project(name=name))


async def test_it_is_read_again_only_when_told_that_it_changed(database: Database) -> None:
    names = Names(database)
    assert await names.cached.get() == []
    await add(database, "a")
    assert await names.cached.get() == []
    names.tell()
    assert await names.cached.get() == ["a"]
    names.tell()  # of something else: the version is the same
    assert await names.cached.get() == ["a"]
    assert names.loads == 2


async def test_it_ages(database: Database) -> None:
    names = Names(database, max_age_s=0.0)
    assert await names.cached.get() == []
    await add(database, "a")
    assert await names.cached.get() == ["a"]


async def test_many_who_ask_at_once_read_once(database: Database) -> None:
    names = Names(database)
    assert await asyncio.gather(*(names.cached.get() for _ in range(50))) == [[]] * 50
    assert names.loads == 1


async def test_those_who_hold_a_session_read_with_it(database: Database) -> None:
    names = Names(database)
    async with database.write() as session:
        session.add(Project(name="own"))
        await session.flush()
        assert await names.cached.get(session) == ["own"]
        names.tell()
        assert await names.cached.get(session) == ["own"]
        assert names.loads == 1


async def test_a_pool_that_is_used_up_keeps_nobody_waiting(database: Database) -> None:
    """Every connection is held by one who asks, while another without one asks as well."""
    names = Names(database)

    async def ask() -> list[str]:
        async with database.read() as session:
            await session.execute(select(1))
            return await names.cached.get(session)

    async with asyncio.timeout(20):
        found = await asyncio.gather(names.cached.get(), *(ask() for _ in range(50)))
    assert found == [[]] * 51
