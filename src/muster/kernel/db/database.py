"""Engines and the unit of work.

SQLite takes one writer at a time, whatever the number of connections; two connections that both
try answer "database is locked" after a wait that grows with the load. So the writer is a pool of
exactly one connection, checked out at the first statement of a unit of work, in which every
transaction is `BEGIN IMMEDIATE` (a deferred one can fail when it turns from reading to writing).
Readers are a separate pool that cannot write and, in WAL mode, never wait for the writer.
PostgreSQL needs none of this and uses one pool for both.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Select,
    StaticPool,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from muster.kernel.background import unbroken
from muster.kernel.db.peeking import Peeked, Peeker
from muster.kernel.db.sqlite_driver import (
    BEGIN,
    BUSY_TIMEOUT_MS,
    ReadingDriver,
    SqliteDriver,
    WritingDriver,
    noticed,
)

T = TypeVar("T")

Hook = Callable[[], Awaitable[None]]

_ENCODER = msgspec.json.Encoder()
_WRITER_WAIT_S = 30.0
_READERS = 8
_IDLE_LOCKS_MS = "60000"


def _dumps(value: Any) -> str:
    return _ENCODER.encode(value).decode()


def before_commit(session: AsyncSession, name: str, hook: Hook) -> None:
    """Run `hook` once, at the end of the unit of work, inside its transaction."""
    session.info.setdefault("before_commit", {}).setdefault(name, hook)


def after_commit(session: AsyncSession, hook: Hook) -> None:
    """Run `hook` when the unit of work is committed and the connection is free again."""
    session.info.setdefault("after_commit", []).append(hook)


class Database:
    """The product's database.

    Args:
        url: `sqlite+aiosqlite:///path` or `postgresql+asyncpg://...`.
        pool_size: Connections kept open on PostgreSQL.
    """

    def __init__(self, url: str | URL, *, pool_size: int = 10) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._drivers: tuple[SqliteDriver, ...] = ()
        if self.is_sqlite:
            self._drivers = (WritingDriver(), ReadingDriver())
            self._writer, self._reader = map(self._sqlite_engine, self._drivers)
        else:
            self._writer = self._postgresql_engine(pool_size)
            # Each statement sees what is committed when it begins, in a transaction or not. Without
            # one it is one message to the server and back instead of three.
            self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")
        # Connections beyond those that are kept open are made and closed for one use, which takes
        # many times as long as waiting for a turn.
        self._few = asyncio.Semaphore(max(pool_size // 2, 1))
        self._direct: tuple[Any, Engine] | None = None
        self._peeker = Peeker(self._sqlite_peeker()) if self.is_sqlite else None
        self.info: dict[str, Any] = {}
        """Copied into the `info` of every session: what hooks of a commit need, such as the bus."""
        self._write_sessions = async_sessionmaker(
            self._writer, expire_on_commit=False, info=self.info
        )
        self._read_sessions = async_sessionmaker(
            self._reader, expire_on_commit=False, autoflush=False
        )

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    def _sqlite_engine(self, driver: SqliteDriver) -> AsyncEngine:
        writer = isinstance(driver, WritingDriver)
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(
            self.url,
            module=driver,
            pool_size=1 if writer else _READERS,
            max_overflow=0,
            pool_timeout=_WRITER_WAIT_S,
            json_serializer=_dumps,
            json_deserializer=msgspec.json.decode,
        )
        event.listen(engine.sync_engine, "connect", _on_connect(query_only=not writer))
        event.listen(engine.sync_engine, "begin", _begin_immediate if writer else _begin)
        return engine

    def _postgresql_engine(self, pool_size: int) -> AsyncEngine:
        engine = create_async_engine(
            _for_asyncpg(self.url),
            pool_size=pool_size,
            max_overflow=pool_size * 2,
            pool_timeout=_WRITER_WAIT_S,
            # A process that is frozen inside a transaction must not keep its locks for ever.
            connect_args={
                "server_settings": {"idle_in_transaction_session_timeout": _IDLE_LOCKS_MS}
            },
            json_serializer=_dumps,
            json_deserializer=msgspec.json.decode,
        )
        event.listen(engine.sync_engine, "checkout", _refuse_lost)
        return engine

    def _sqlite_peeker(self) -> Engine:
        engine = create_engine(
            self.url.set(drivername="sqlite"),
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            isolation_level="AUTOCOMMIT",
            json_deserializer=msgspec.json.decode,
        )
        event.listen(engine, "connect", _on_connect(query_only=True))
        return engine

    async def peek(
        self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any] | None = None
    ) -> Peeked | None:
        """Return the first row of an indexed read, outside of any unit of work.

        For what every request asks. On SQLite it runs in the thread of the event loop: it takes
        some microseconds, and a change of threads takes many times as long. The statement is built
        once, with `bindparam`s for which `parameters` has the values: how it is executed is kept
        for as long as the database is open.
        """
        if self._peeker is not None:
            return self._peeker.first(statement, parameters or {})
        async with self._few, self._reader.connect() as connection:
            return (await connection.execute(statement, parameters)).first()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """Yield a session that only reads."""
        async with self._read_sessions() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession]:
        """Yield a session whose changes are committed together when the block ends well.

        A commit that has begun is not broken off: who is cancelled then hears of it when what waits
        for the commit has been told.
        """
        async with self._write_sessions() as session:
            yield session
            await _run_before_commit(session)
            await unbroken(_commit(session), "commit")

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AsyncConnection]:
        """Yield a plain writing connection inside a transaction, without the ORM."""
        async with self._writer.begin() as connection:
            yield connection

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own and return its result: for hot paths.

        `work` is given a plain synchronous connection. On SQLite all of its statements run in the
        driver's thread in one go: a statement that is awaited costs four changes of thread, which
        is several times what it costs itself. On PostgreSQL they go through the async driver.
        """
        if not self.is_sqlite:
            async with self._writer.begin() as connection:
                return await connection.run_sync(work)
        async with self._sqlite_writer() as driver:
            # Not public in aiosqlite, which has no other way to run a function in its thread; the
            # lock file pins its release.
            with noticed(driver):
                return await driver._execute(self._transact_sqlite, driver._conn, work)  # noqa: SLF001

    def _transact_sqlite(self, raw: Any, work: Callable[[Connection], T]) -> T:
        if self._direct is None or self._direct[0] is not raw:
            engine = create_engine(
                "sqlite://",
                creator=lambda: raw,
                poolclass=StaticPool,
                json_serializer=_dumps,
                json_deserializer=msgspec.json.decode,
            )
            event.listen(engine, "begin", _begin_immediate)
            self._direct = (raw, engine)
        with self._direct[1].begin() as connection:
            return work(connection)

    async def commits_of_others(self) -> int:
        """Return a number that changes when another process has committed to the SQLite file.

        The writer is asked: to its connection, what it has committed itself is no change.
        """
        async with self._sqlite_writer() as driver:
            # In the thread of the loop, as it takes microseconds; see `transact` for the name.
            row = driver._conn.execute("PRAGMA data_version").fetchone()  # noqa: SLF001
        return int(row[0])

    @asynccontextmanager
    async def _sqlite_writer(self) -> AsyncGenerator[Any]:
        """Yield aiosqlite's connection of the one writer, when it is its turn."""
        pooled = await self._writer.raw_connection()
        try:
            yield pooled.driver_connection
        finally:
            await greenlet_spawn(pooled.close)

    async def dispose(self) -> None:
        """Close every connection."""
        if self._peeker is not None:
            self._peeker.close()
        await self._writer.dispose()
        await self._reader.dispose()
        for driver in self._drivers:
            await driver.ended()


def _for_asyncpg(url: URL) -> URL:
    # `sslmode` is what everyone writes; asyncpg has the same values under another name.
    if (mode := url.query.get("sslmode")) is None:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def _refuse_lost(connection: DBAPIConnection, *_: object) -> None:
    """Have the pool replace a connection that the server has closed.

    The driver is told of that when it happens; to ask the server before each use takes three
    messages to it and back.
    """
    driver: Any = connection.driver_connection
    if driver.is_closed():
        raise DisconnectionError


def _on_connect(*, query_only: bool) -> Callable[[DBAPIConnection, ConnectionPoolEntry], None]:
    pragmas = [
        "PRAGMA journal_mode=WAL",
        # FULL: an answered write survives a power cut, not only a crash of the process.
        "PRAGMA synchronous=FULL",
        "PRAGMA foreign_keys=ON",
        f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
        "PRAGMA temp_store=MEMORY",
        "PRAGMA cache_size=-16000",
        *(["PRAGMA query_only=ON"] if query_only else []),
    ]

    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions by itself: `begin` says how.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    return prepare


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql(BEGIN)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


async def _run_before_commit(session: AsyncSession) -> None:
    hooks: dict[str, Hook] = session.info.get("before_commit", {})
    while hooks:
        name = next(iter(hooks))
        await hooks.pop(name)()


async def _commit(session: AsyncSession) -> None:
    await session.commit()
    await run_after_commit(session)


async def run_after_commit(session: AsyncSession) -> None:
    """Run and forget the hooks that wait for the commit of `session`."""
    for hook in session.info.pop("after_commit", []):
        await hook()
