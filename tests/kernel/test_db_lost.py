"""Connections of PostgreSQL that the server has closed."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from muster.kernel.db import Database

pytestmark = pytest.mark.anyio


async def test_a_connection_that_the_server_closed_is_replaced(postgresql: Database) -> None:
    async with postgresql.connect() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        driver: Any = (await connection.get_raw_connection()).driver_connection
    other = Database(postgresql.url)
    await other.transact(lambda c: c.execute(text(f"SELECT pg_terminate_backend({pid})")))
    await other.dispose()
    async with asyncio.timeout(30):
        while not driver.is_closed():
            await asyncio.sleep(0.01)
    async with postgresql.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    assert await postgresql.transact(lambda c: c.execute(text("SELECT 2")).scalar()) == 2
