"""The world of a test: two databases, a process that submits, workers, a model and tools."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.durability.plan_bodies import furnish
from tests.durability.plans import Plans
from tests.durability.servers import PlannedModel, ToolServer
from tests.durability.workers import Nursery, Workers
from tests.durability.world import World
from tests.support.accounts import make_accounts
from tests.support.echo_server import serve
from tests.support.model_server import served
from tests.support.people import signed_in


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


@pytest.fixture
async def control(
    settings: Settings, model: PlannedModel, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Muster]:
    """A process that starts runs and executes none."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
    async with Muster(settings, engine="submit") as running:
        yield running


@pytest.fixture
async def model() -> AsyncIterator[PlannedModel]:
    model = PlannedModel()
    async with served(model) as url:
        model.base_url = f"{url}/v1"
        yield model


@pytest.fixture
async def tools() -> AsyncIterator[ToolServer]:
    server = ToolServer()
    async with serve(server.app) as server.url:
        yield server
        server.held.clear()


@pytest.fixture
async def workers(
    nursery: Nursery, settings: Settings, model: PlannedModel
) -> AsyncIterator[Workers]:
    workers = Workers(nursery, settings, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=model.base_url)
    yield workers
    await workers.close()


@pytest.fixture
async def connect_to() -> AsyncIterator[Callable[[Muster], Callable[..., httpx2.AsyncClient]]]:
    """Clients of the API of a process that listens on no port."""
    async with AsyncExitStack() as stack:

        def clients_of(muster: Muster) -> Callable[..., httpx2.AsyncClient]:
            def connect(**headers: str) -> httpx2.AsyncClient:
                client = httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(muster.app, raise_app_exceptions=False),
                    base_url="http://muster.test/api/v1",
                    headers=headers,
                    timeout=60,
                )
                stack.push_async_callback(client.aclose)
                return client

            return connect

        yield clients_of


@pytest.fixture
async def world(
    control: Muster,
    model: PlannedModel,
    tools: ToolServer,
    workers: Workers,
    connect_to: Callable[[Muster], Callable[..., httpx2.AsyncClient]],
) -> World:
    people = signed_in(await make_accounts(control), connect_to(control))
    return World(control=control, people=people, model=model, tools=tools, workers=workers)


@pytest.fixture
async def plans(world: World) -> Plans:
    """Runs of plans; what they name is there."""
    await furnish(world)
    return Plans(world)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One process on SQLite can hold up no other for as long as a lease: nothing to test there.

    Nor do several processes share the work on one file in earnest.
    """
    needless = [
        item
        for item in items
        if (item.path.name == "test_frozen.py" and "[sqlite]" in item.name)
        or ("test_killed_at_every_boundary[sqlite-" in item.name and "-before-1" in item.name)
    ]
    if needless:
        config.hook.pytest_deselected(items=needless)
        items[:] = [item for item in items if item not in needless]
