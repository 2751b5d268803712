"""A database with the tests' own table, and an application on it."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from muster.kernel.db import Database
from muster.kernel.http import App
from tests.kernel.things import client_of, make_app, make_table


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
