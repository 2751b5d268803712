"""The application with its engine, and people who ask it for reports."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in


@pytest.fixture
async def working(settings: Settings) -> AsyncIterator[Muster]:
    """The application, making reports."""
    async with Muster(settings, engine="work") as running:
        yield running


@pytest.fixture
async def people(working: Muster) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:

        def connect(**headers: str) -> httpx2.AsyncClient:
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(working.app, raise_app_exceptions=False),
                base_url="http://muster.test/api/v1",
                headers=headers,
            )
            stack.push_async_callback(client.aclose)
            return client

        yield signed_in(await find_accounts(working), connect)
