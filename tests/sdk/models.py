"""The scripted model server in a thread of its own, for clients that are not asynchronous."""

import asyncio
import threading
from typing import Any, Self

from tests.support.model_scripts import Reply, Script
from tests.support.model_server import ScriptedServer, Wire, served


class Models:
    """A context manager that serves a script."""

    def __init__(self, wire: Wire | None = None) -> None:
        self._server = ScriptedServer(wire=wire)
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self.url = ""

    def replies(self, *replies: Reply, script: Script | None = None) -> None:
        self._server.script = script or Script(select="call", replies=list(replies))
        self._server.reset()

    @property
    def count(self) -> int:
        return self._server.count

    @property
    def last(self) -> dict[str, Any]:
        return self._server.last.body

    async def _run(self) -> None:
        self._end = asyncio.Event()
        async with served(self._server) as self.url:
            self._ready.set()
            await self._end.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        self._loop.close()
