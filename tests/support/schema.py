"""Bringing a database to the newest schema."""

import asyncio

from tools.migration import differences, tables

from muster.kernel.db import Database
from muster.migrations import downgrade, upgrade


def migrate(url: str) -> None:
    """Make all tables in the database at `url`, by the migrations.

    Tables that somebody works on have no revision yet; they are made as they are declared. That a
    revision is missing is what `tests/house/test_migrations.py` says.
    """

    async def run() -> None:
        await upgrade(url)
        if not await differences(url):
            return
        await downgrade(url)
        database = Database(url)
        async with database.connect() as connection:
            await connection.run_sync(tables().create_all)
        await database.dispose()

    asyncio.run(run())
