"""Places for engines to run in: files and databases that hold nothing but their tables."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.support import Recorder, World, fill, postgres_system, sqlite_system
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def engine_server() -> Iterator[PostgresServer]:
    server = PostgresServer.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def engine_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine")
    asyncio.run(fill(f"sqlite+aiosqlite:///{folder}/muster.db", sqlite_system(folder)))
    return folder


@pytest.fixture
def sqlite_world(engine_files: Path, tmp_path: Path) -> Iterator[World]:
    for file in engine_files.iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    world = World(f"sqlite+aiosqlite:///{tmp_path}/muster.db", sqlite_system(tmp_path), tmp_path)
    yield world
    for process in world.processes:
        process.close()


@pytest.fixture
def postgres_world(engine_server: PostgresServer, tmp_path: Path) -> Iterator[World]:
    template = engine_server.ensure_template(
        "engine", lambda url: asyncio.run(fill(url, postgres_system(url)))
    )
    url = engine_server.create_database(template)
    world = World(url, postgres_system(url), tmp_path)
    yield world
    for process in world.processes:
        process.close()
    engine_server.drop_database(url)


@pytest.fixture
def world(database_kind: str, request: pytest.FixtureRequest) -> World:
    name = "sqlite_world" if database_kind == "sqlite" else "postgres_world"
    return request.getfixturevalue(name)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
