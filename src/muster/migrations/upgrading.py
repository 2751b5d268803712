"""Bringing a database to a revision, once, however many processes try at the same moment."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from muster.kernel.db import Database, sqlite_connection

HEAD = "head"
BASE = "base"

_LOCK = 0x6D757374  # an arbitrary number that only the migrations take
_LOCK_WAIT_MS = 120_000


class SchemaUnknown(RuntimeError):
    """The database has a schema that this release does not know."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database has the schema {revision}, which this release of Muster does not know. "
            "A newer release made it: run that one, or restore the backup from before the upgrade."
        )
        self.revision = revision


def configuration(**attributes: Any) -> Any:
    """Return the configuration of Alembic, with what `env.py` reads in its attributes."""
    # Alembic is imported where something is to be migrated: most starts find all done.
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes.update(attributes)
    return config


def head() -> str:
    """Return the newest revision that this release knows; files are named after theirs, in order."""
    names = sorted(path.name for path in (Path(__file__).parent / "versions").glob("[0-9]*.py"))
    if not names:
        raise RuntimeError("there is no revision; the installation is not complete")
    return names[-1].split("_", 1)[0]


async def current(database: Database | URL | str) -> str | None:
    """Return the revision of a database; None for an empty one. Makes nothing."""
    url = _url_of(database)
    if _is_missing(url):
        return None
    async with _connect(url, begin="BEGIN") as connection:
        return await connection.run_sync(_revision)


async def upgrade(database: Database | URL | str, revision: str = HEAD) -> None:
    """Bring a database to a revision, by default the newest; makes the file where there is none.

    All in one transaction: it is done as a whole or not at all. Another process that does the same
    at the same time waits and then finds nothing left to do.

    Args:
        database: The database, or its URL with an asynchronous driver.
        revision: Where to go, not beyond the newest.
    """
    url = _url_of(database)
    # Looked up first without a lock: the usual start of a process finds all done.
    if revision == HEAD and await current(url) == head():
        return
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    await _run(url, "upgrade", revision)


async def downgrade(database: Database | URL | str, revision: str = BASE) -> None:
    """Take back every revision after the given one; what only they can store is lost."""
    await _run(_url_of(database), "downgrade", revision)


async def _run(url: URL, do: Literal["upgrade", "downgrade"], revision: str) -> None:
    async with _connect(url, begin="BEGIN EXCLUSIVE") as connection:
        if url.get_backend_name() == "postgresql":
            # Held to the end of the transaction; SQLite is exclusive from its beginning.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await connection.run_sync(_migrate, do, revision)


def _migrate(connection: Connection, do: Literal["upgrade", "downgrade"], revision: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = configuration(connection=connection)
    found = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaUnknown(found)
    getattr(command, do)(config, revision)
    if connection.dialect.name == "sqlite":
        _check_foreign_keys(connection)


def _check_foreign_keys(connection: Connection) -> None:
    """Look at the references that were not enforced while tables were rewritten."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        tables = sorted({str(row[0]) for row in broken})
        raise RuntimeError(f"the migration would leave broken references in {', '.join(tables)}")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def _url_of(database: Database | URL | str) -> URL:
    return database.url if isinstance(database, Database) else make_url(database)


def _is_missing(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()


@asynccontextmanager
async def _connect(url: URL, *, begin: str) -> AsyncGenerator[AsyncConnection]:
    """Yield a connection of its own, inside a transaction."""
    on_sqlite = url.get_backend_name() == "sqlite"
    options = {"async_creator_fn": sqlite_connection} if on_sqlite else {}
    engine = create_async_engine(url, poolclass=NullPool, connect_args=options)
    if on_sqlite:

        def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
            connection.isolation_level = None  # transactions are begun below
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={_LOCK_WAIT_MS}")
            # A table that is rewritten is dropped for a moment: with keys on, what refers to it
            # would go with it.
            cursor.execute("PRAGMA foreign_keys=OFF")
            cursor.close()

        def on_begin(connection: Any) -> None:
            connection.exec_driver_sql(begin)

        event.listen(engine.sync_engine, "connect", on_connect)
        event.listen(engine.sync_engine, "begin", on_begin)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()
