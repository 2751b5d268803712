"""Fixtures that every test may use: the real application on a real database, and its callers."""

import asyncio
import gc
import os
import shutil
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import hypothesis
import pytest
from coverage import Coverage
from pydantic import SecretStr

from muster.engine import prepare
from muster.entrypoints.assembly import Muster
from muster.entrypoints.running import engine_options
from muster.kernel.db import Database
from muster.kernel.settings import AuthSettings, Settings
from tests.support import ending_threads, statements
from tests.support.accounts import find_accounts, make_accounts
from tests.support.people import People, signed_in
from tests.support.postgres import PostgresServer
from tests.support.schema import migrate

KINDS = ("sqlite", "postgresql")
MASTER_KEY = b64encode(bytes(range(32))).decode()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        default=",".join(KINDS),
        help="Databases to run on, separated by commas: sqlite, postgresql.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        kinds = str(metafunc.config.getoption("--database")).split(",")
        if metafunc.definition.get_closest_marker("before_the_database"):
            kinds = kinds[:1]
        metafunc.parametrize("database_kind", kinds, scope="session")


def pytest_configure(config: pytest.Config) -> None:
    measuring = Coverage.current()
    if measuring and config.getoption("numprocesses", 0) and not is_worker():
        measuring.stop()  # This process only gathers what the workers report.
    statements.share()
    ending_threads.let_them_end()
    # A busy machine is no fault.
    slowly = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("muster", deadline=None, suppress_health_check=slowly)
    hypothesis.settings.load_profile("muster")


def is_worker() -> bool:
    """Say whether this process is one of several that run tests for another."""
    return "PYTEST_XDIST_WORKER" in os.environ


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Measure in one process what is done when modules are imported: all import the same."""
    measuring = Coverage.current()
    if measuring is None or os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what stays for ever: thousands of tests, and all modules."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_sessionfinish() -> None:
    """Keep what was measured: a worker that is slow to end is killed before it has done that."""
    if (measuring := Coverage.current()) is not None:
        measuring.stop()
        measuring.save()


def is_measured(item: pytest.Item) -> bool:
    """Say whether a test measures coverage.

    It does on the first database, and not in the sweeps, which call everything, on purpose, nor
    where processes are killed and things are done again and again, which other tests do once.
    """
    if {"sweeps", "durability"} & set(item.path.parts) or item.get_closest_marker("repeats"):
        return False
    parameters = item.callspec.params if hasattr(item, "callspec") else {}  # type: ignore[attr-defined]
    first, *_ = str(item.config.getoption("--database")).split(",")
    return parameters.get("database_kind") in {None, first}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure coverage where it says something, for it costs more than testing."""
    measuring = Coverage.current()
    if measuring is None or is_measured(item):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_START", raising=False)
        measuring.stop()
        try:
            return (yield)
        finally:
            measuring.start()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True, slots=True)
class Template:
    """Migrated databases that each test gets a copy of: an empty one, and one with accounts."""

    kind: str
    server: PostgresServer | None
    empty: str
    peopled: str

    def copy(self, folder: Path, *, people: bool = False) -> str:
        source = self.peopled if people else self.empty
        if self.server is not None:
            return self.server.create_database(template=source)
        target = folder / "muster.db"
        shutil.copyfile(source, target)
        shutil.copyfile(Path(source).with_name("engine.db"), folder / "engine.db")
        return f"sqlite+aiosqlite:///{target}"

    def drop(self, url: str) -> None:
        if self.server is not None:
            self.server.drop_database(url)


@pytest.fixture(scope="session")
def template(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    folder = tmp_path_factory.mktemp("template")
    if database_kind == "sqlite":
        empty, peopled = folder / "empty.db", folder / "peopled" / "peopled.db"
        fill(f"sqlite+aiosqlite:///{empty}")
        peopled.parent.mkdir()
        shutil.copyfile(empty, peopled)
        shutil.copyfile(empty.with_name("engine.db"), peopled.with_name("engine.db"))
        fill_with_people(f"sqlite+aiosqlite:///{peopled}", folder)
        yield Template("sqlite", None, str(empty), str(peopled))
        return
    with PostgresServer.start(shared_folder(tmp_path_factory)) as server:

        def populate(url: str) -> None:
            fill(url)
            fill_with_people(url, folder)

        yield Template(
            "postgresql",
            server,
            server.ensure_template("muster", fill),
            server.ensure_template("people", populate),
        )


def fill(url: str) -> None:
    """Make all tables, those of the engine too: to make them costs a second, to copy them none."""
    migrate(url)
    options = engine_options(Settings(database_url=SecretStr(url)), work=True)
    asyncio.run(prepare(options))


def fill_with_people(url: str, folder: Path) -> None:
    """Make the accounts of the tests."""

    async def make() -> None:
        async with Muster(settings_of(url, folder), engine="off") as muster:
            await make_accounts(muster)

    asyncio.run(make())


def settings_of(url: str, folder: Path) -> Settings:
    return Settings(
        data_dir=folder / "data",
        database_url=SecretStr(url),
        database_pool_size=5,
        master_key=SecretStr(MASTER_KEY),
        egress_allow=["127.0.0.0/8"],
        registration="open",
        auth=AuthSettings(lockout_attempts=3, lockout_minutes=1),
        log_level="WARNING",
    )


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all workers of a run: they share one server."""
    base = factory.getbasetemp()
    return (base.parent if is_worker() else base) / "postgres"


@pytest.fixture
def database_url(
    template: Template, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    url = template.copy(tmp_path, people="people" in request.fixturenames)
    yield url
    template.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=5)
    yield database
    await database.dispose()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_of(database_url, tmp_path)


@pytest.fixture
async def muster(settings: Settings) -> AsyncIterator[Muster]:
    """The application, serving, without executing runs."""
    async with Muster(settings, engine="off") as running:
        yield running


@pytest.fixture
async def connect(muster: Muster) -> AsyncIterator[Callable[..., httpx2.AsyncClient]]:
    async with AsyncExitStack() as stack:
        made: list[httpx2.AsyncClient] = []

        def make(**headers: str) -> httpx2.AsyncClient:
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(muster.app, raise_app_exceptions=False),
                base_url="http://muster.test/api/v1",
                headers=headers,
            )
            made.append(client)
            stack.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
async def anonymous(connect: Callable[..., httpx2.AsyncClient]) -> httpx2.AsyncClient:
    """A client without a token."""
    return connect()


@pytest.fixture
async def people(muster: Muster, connect: Callable[..., httpx2.AsyncClient]) -> People:
    """One client per role in one project, and an outsider with a project of its own."""
    return signed_in(await find_accounts(muster), connect)
