"""The connections of DBOS to its database: DBOS is synchronous and has a pool of its own."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

_POOL = 6


def create_engine(address: str) -> sa.Engine:
    """Return the engine that DBOS uses: on SQLite durable, and patient with other writers."""
    if "://" not in address:
        address = f"sqlite:///{address}"
    url = sa.make_url(address)
    if url.get_backend_name() != "sqlite":
        url = url.set(drivername="postgresql+psycopg")
        return sa.create_engine(url, pool_size=_POOL, max_overflow=10, pool_pre_ping=True)
    url = url.set(drivername="sqlite")
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, pool_size=_POOL, max_overflow=10)

    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = "IMMEDIATE"
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", on_connect)
    return engine
