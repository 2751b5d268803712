"""The product in this process: assembled as it serves, with a caller that may do everything."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from tests.support.accounts import Accounts, make_accounts

from benchmarks.databases import settings_for
from muster.entrypoints.assembly import Muster
from muster.entrypoints.running import EngineMode
from muster.kernel.logging import configure_logging


@dataclass(frozen=True, slots=True)
class Product:
    """The assembled product and a signed-in client of its API."""

    muster: Muster
    client: httpx2.AsyncClient
    accounts: Accounts


@asynccontextmanager
async def product(url: str, folder: Path, *, engine: EngineMode) -> AsyncIterator[Product]:
    """Assemble the product on a fresh database."""
    configure_logging(level="WARNING", json=True)
    async with Muster(settings_for(url, folder), engine=engine) as muster:
        accounts = await make_accounts(muster)
        transport = httpx2.ASGITransport(muster.app, raise_app_exceptions=True)
        token = accounts.tokens["owner"]
        async with httpx2.AsyncClient(
            transport=transport,
            base_url="http://muster.test/api/v1",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:
            yield Product(muster, client, accounts)


@contextmanager
def provider(base_url: str) -> Iterator[None]:
    """Make a server the product's OpenAI while the block lasts."""
    given = {"OPENAI_API_KEY": "sk-benchmark", "OPENAI_BASE_URL": base_url}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
