"""A client of the live event stream, for tests."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

WAIT_S = 15.0


def token_of(client: Any) -> str:
    return str(client.headers["authorization"]).removeprefix("Bearer ")


class Client:
    """One end of a WebSocket that speaks JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            return json.loads(await self.connection.recv())

    async def ask(self, message: Any) -> dict[str, Any]:
        await self.send(message)
        return await self.receive()

    async def subscribe(self, *events: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask({"type": "subscribe", "events": list(events), **more})
        assert answer["type"] == "subscribed"
        return answer

    async def closed(self) -> tuple[int, str]:
        """Wait for the server to close; return the code and the reason."""

        async def drain() -> None:
            while True:
                await self.connection.recv()

        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(drain(), WAIT_S)
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code, caught.value.rcvd.reason


@asynccontextmanager
async def client(address: str, token: str | None, path: str = "/ws") -> AsyncGenerator[Client]:
    query = "" if token is None else f"?token={token}"
    async with connect(f"ws://{address}{path}{query}", proxy=None) as connection:
        yield Client(connection)
