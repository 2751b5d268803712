"""Fixtures of the tool transports: a real server, and a client that may reach it."""

from collections.abc import AsyncIterator

import pytest

from muster.kernel.egress import Egress, EgressPolicy
from tests.support.echo_server import EchoServer, serve


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    client = Egress(EgressPolicy(allow=["127.0.0.0/8"]), timeout_s=10)
    yield client
    await client.aclose()


@pytest.fixture
def echo() -> EchoServer:
    return EchoServer()


@pytest.fixture
async def base_url(echo: EchoServer) -> AsyncIterator[str]:
    async with serve(echo.app) as address:
        yield address
