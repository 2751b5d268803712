"""What a request works with: sessions, which only this module commits, and the master key."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection, Request

from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database


def database_of(connection: HTTPConnection) -> Database:
    """Return the database of the application that answers."""
    database: Database = connection.app.state.database
    return database


async def _master_key(connection: HTTPConnection) -> MasterKey:
    key: MasterKey = connection.app.state.master_key
    return key


async def _database(connection: HTTPConnection) -> Database:
    return database_of(connection)


async def _read(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    async with database_of(connection).read() as session:
        yield session


async def _write(request: Request) -> AsyncIterator[AsyncSession]:
    async with database_of(request).write() as session:
        # Seen by the route, which stores the answer of an idempotent request in the same commit.
        request.state.write_session = session
        yield session


Reading = Annotated[AsyncSession, Depends(_read, scope="function")]
"""A session that only reads."""

Writing = Annotated[AsyncSession, Depends(_write, scope="function")]
"""A session that is committed before the response is sent, so that a failed commit becomes an
error and never follows a 201."""

Sealing = Annotated[MasterKey, Depends(_master_key)]
"""The key that seals secrets."""

Db = Annotated[Database, Depends(_database)]
"""The database itself, for handlers that must hold no session while they wait for something."""
