"""Serving an application on a real port of 127.0.0.1, for what needs a connection that lasts."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

_LOOK_AGAIN_S = 0.005


@asynccontextmanager
async def serving(
    app: Any, *, port: int = 0, grace_s: float = 1, **options: Any
) -> AsyncGenerator[str]:
    """Serve an ASGI application in this event loop; yield `127.0.0.1:port`.

    At the end what is still answered has `grace_s` to be answered. The parts of uvicorn's server
    are used, not its loop: that looks ten times a second whether to end, and whether it may.

    Args:
        app: The application.
        port: Where it listens; a free one if 0.
        grace_s: How long answers may take when the block ends.
        **options: More of uvicorn's options.
    """
    given = {"lifespan": "off", "log_level": "error", "access_log": False} | options
    config = uvicorn.Config(app, **given)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # With the protocol named, asyncio turns off Nagle's algorithm, which costs 40 ms an answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    await server.startup(sockets=[listening])
    await server.on_tick(0)  # which makes the headers that each answer has
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        await _end(server, grace_s)


async def _end(server: uvicorn.Server, grace_s: float) -> None:
    for listener in server.servers:
        listener.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace_s):
            while state.connections or state.tasks:
                await asyncio.sleep(_LOOK_AGAIN_S)
    for task in list(state.tasks):
        task.cancel()
    await server.lifespan.shutdown()
