"""Bringing a database to the newest schema."""

import asyncio

import muster.entrypoints.assembly  # noqa: F401 - registers every table
from muster.kernel.db import Base, Database


def migrate(url: str) -> None:
    """Make all tables in the database at `url`."""

    async def run() -> None:
        database = Database(url)
        async with database.connect() as connection:
            await connection.run_sync(Base.metadata.create_all)
        await database.dispose()

    asyncio.run(run())
