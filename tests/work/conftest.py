"""The application with its engine, and a scripted model server behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.support.accounts import find_accounts
from tests.support.model_server import Script, ScriptedServer, model_server
from tests.support.people import People, signed_in


@pytest.fixture(autouse=True)
def without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver of PostgreSQL asks for TLS before it breaks a query off, and leaves an exception
    behind that nobody can retrieve where the server has none.
    """
    monkeypatch.setenv("PGSSLMODE", "disable")


@pytest.fixture
async def scripted(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedServer]:
    """A model server that is the product's OpenAI."""
    async with model_server(Script(rounds=2)) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield server


@pytest.fixture
async def working(settings: Settings, scripted: ScriptedServer) -> AsyncIterator[Muster]:
    """The application, executing runs."""
    async with Muster(settings, engine="work") as running:
        yield running


Connected = Callable[[Muster], Awaitable[People]]


@pytest.fixture
async def connected() -> AsyncIterator[Connected]:
    """Signs everyone in to an application."""
    async with AsyncExitStack() as stack:

        async def sign_in(muster: Muster) -> People:
            def connect(**headers: str) -> httpx2.AsyncClient:
                client = httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(muster.app, raise_app_exceptions=False),
                    base_url="http://muster.test/api/v1",
                    headers=headers,
                )
                stack.push_async_callback(client.aclose)
                return client

            return signed_in(await find_accounts(muster), connect)

        yield sign_in


@pytest.fixture
async def people(working: Muster, connected: Connected) -> People:
    return await connected(working)
