"""Worlds for the sweeps: one for each kind of database, shared by all that change nothing of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from muster.kernel.settings import AuthSettings, Settings
from tests.conftest import Template
from tests.sweeps.world import World

NewWorld = Callable[[], AbstractContextManager[World]]


@pytest.fixture(scope="session")
def new_world(template: Template, tmp_path_factory: pytest.TempPathFactory) -> NewWorld:
    """Return what opens a world of its own."""

    @contextmanager
    def make() -> Iterator[World]:
        folder: Path = tmp_path_factory.mktemp("world")
        url = template.copy(folder)
        settings = Settings(
            data_dir=folder / "data",
            database_url=SecretStr(url),
            database_pool_size=5,
            # Nothing listens there: what calls out fails at once.
            egress_allow=["127.0.0.1/32"],
            registration="open",
            auth=AuthSettings(lockout_attempts=3, lockout_minutes=1),
            log_level="ERROR",
        )
        try:
            with World(settings).open() as world:
                yield world
        finally:
            template.drop(url)

    return make


@pytest.fixture(scope="session")
def world(new_world: NewWorld) -> Iterator[World]:
    """The world of the sweeps that are refused, and so change nothing."""
    with new_world() as world:
        yield world
