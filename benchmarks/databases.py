"""Databases to measure on: migrated, empty, and as durable as those of an installation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr
from tests.support.postgres import PostgresServer

from muster.engine import prepare
from muster.entrypoints.cli.schema import bring_up_to_date
from muster.entrypoints.running import engine_options
from muster.kernel.settings import Settings

DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}
"""PostgreSQL as it comes, with a little more memory: the tests turn off what durability costs."""


@asynccontextmanager
async def fresh_database(kind: str, folder: Path) -> AsyncIterator[str]:
    """Yield the URL of an empty database with all tables, those of the engine too."""
    if kind == "sqlite":
        url = f"sqlite+aiosqlite:///{folder / 'muster.db'}"
        await _fill(url, folder)
        yield url
        return
    server = await asyncio.to_thread(PostgresServer.start, settings=DURABLE)
    try:
        url = await asyncio.to_thread(server.create_database)
        await _fill(url, folder)
        yield url
        await asyncio.to_thread(server.drop_database, url)
    finally:
        server.stop()


async def _fill(url: str, folder: Path) -> None:
    settings = settings_for(url, folder)
    await bring_up_to_date(settings)
    await prepare(engine_options(settings, work=True))


def settings_for(url: str, folder: Path, *, concurrency: int = 16) -> Settings:
    """Return the settings of an installation in `folder` with this database."""
    settings = Settings(
        data_dir=folder,
        database_url=SecretStr(url),
        egress_allow=["127.0.0.0/8"],
        registration="closed",
        log_level="WARNING",
    )
    runs = settings.runs.model_copy(update={"concurrency": concurrency})
    return settings.model_copy(update={"runs": runs})
