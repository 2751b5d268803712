"""A small table held in memory, read again when the live bus says so or when it has aged."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.db import Database
from muster.kernel.live import LiveBus, Message, Subscription

T = TypeVar("T")

MAX_AGE_S = 5.0
_PROJECTS = 256


class _Told(Subscription):
    """Remembers only that something was said: what it was is read from the database."""

    something = False

    def put(self, message: Message | None) -> None:
        del message
        self.something = True


class Cached(Generic[T]):
    """What `load` returns, kept until its table changes.

    Whoever changes the table publishes to `topic` after the commit. On PostgreSQL this reaches
    every process; on SQLite the bus notices commits of other processes within a quarter of a
    second. A message that is lost costs `max_age_s` at most.

    Args:
        database: The database.
        live: The live bus.
        topic: What changes of the table are told under.
        version: A cheap statement whose one row changes whenever the table does. Hints of the bus
            often mean other tables, so it is asked before everything is loaded again.
        load: Reads everything.
        max_age_s: How old the value may get without another look.
    """

    def __init__(
        self,
        database: Database,
        live: LiveBus,
        *,
        topic: str,
        version: Select[Any],
        load: Callable[[AsyncSession], Awaitable[T]],
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._database, self._version_of, self._load = database, version, load
        self._max_age_s = max_age_s
        self._told = _Told(live, (topic,))
        live.attach(self._told)
        self._version: tuple[Any, ...] | None = None
        self._value: T | None = None
        self._looked_at = 0.0
        self._looking = asyncio.Lock()

    async def get(self, session: AsyncSession | None = None) -> T:
        """Return the value; without news it costs nothing.

        Who holds a session gives it, and waits for nobody: those who have a connection and wait for
        one who needs another would keep it from them.
        """
        value = self._fresh()
        if value is not None:
            return value
        if session is not None:
            return await self._look_in(session)
        async with self._looking:
            value = self._fresh()
            return await self._look() if value is None else value

    def _fresh(self) -> T | None:
        aged = time.monotonic() - self._looked_at > self._max_age_s
        return None if self._told.something or aged else self._value

    async def _look(self) -> T:
        self._forget_news()
        row = await self._database.peek(self._version_of)
        if (value := self._same(row)) is not None:
            return value
        async with self._database.read() as session:
            return self._keep(row, await self._load(session))

    async def _look_in(self, session: AsyncSession) -> T:
        self._forget_news()
        row = (await session.execute(self._version_of)).first()
        value = self._same(row)
        return value if value is not None else self._keep(row, await self._load(session))

    def _forget_news(self) -> None:
        """Take the news; until it is read, and if that fails, the value counts as aged."""
        self._told.something = False
        self._looked_at = float("-inf")

    def _same(self, row: Any) -> T | None:
        if self._value is None or _version(row) != self._version:
            return None
        self._looked_at = time.monotonic()
        return self._value

    def _keep(self, row: Any, value: T) -> T:
        self._value, self._version = value, _version(row)
        self._looked_at = time.monotonic()
        return value


class CachedByProject(Generic[T]):
    """What `load` returns for a project, kept until the project's rows change.

    Every use asks for the version, which is one indexed read, so that a change holds at once.

    Args:
        database: The database.
        version: A cheap statement with the bound parameter `project_id`, whose one row changes
            whenever the project's rows do.
        load: Reads what is kept; it is shared, so nobody may change it.
        max_age_s: How old a value may get: clocks of different processes disagree, and a change by
            one that is behind may leave the newest time as it was.
    """

    def __init__(
        self,
        database: Database,
        *,
        version: Select[Any],
        load: Callable[[AsyncSession, str], Awaitable[T]],
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._database, self._version_of, self._load = database, version, load
        self._max_age_s = max_age_s
        self._kept: OrderedDict[str, tuple[tuple[Any, ...], float, T]] = OrderedDict()

    async def get(self, project_id: str) -> T:
        """Return the value of a project."""
        asked_at = time.monotonic()
        version = _version(await self._database.peek(self._version_of, {"project_id": project_id}))
        known = self._kept.get(project_id)
        if known and known[0] == version and asked_at - known[1] <= self._max_age_s:
            self._kept.move_to_end(project_id)
            return known[2]
        async with self._database.read() as session:
            value = await self._load(session, project_id)
        # What was read may be newer than its version; then the next look reads it again.
        self._kept[project_id] = (version, asked_at, value)
        while len(self._kept) > _PROJECTS:
            self._kept.popitem(last=False)
        return value


def _version(row: Any) -> tuple[Any, ...]:
    return tuple(row) if row is not None else ()
