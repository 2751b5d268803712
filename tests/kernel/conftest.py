"""A database with the tests' own table, and an application on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from muster.kernel.db import Database
from muster.kernel.http import App
from tests.conftest import shared_folder
from tests.kernel.things import client_of, make_app, make_table
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer.start(shared_folder(tmp_path_factory)) as server:
        yield server


@pytest.fixture
async def postgresql(server: PostgresServer) -> AsyncIterator[Database]:
    url = server.create_database()
    database = Database(url)
    yield database
    await database.dispose()
    server.drop_database(url)


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Database]:
    """A SQLite database in which nothing is."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/own.db")
    yield database
    await database.dispose()


@pytest.fixture
async def projects(database: Database) -> tuple[str, str]:
    """The ids of two projects, in a database that has the table of things."""
    return await make_table(database)


@pytest.fixture
async def app(database: Database, projects: tuple[str, str]) -> App:
    return make_app(database, projects[0])


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app) as client:
        yield client
