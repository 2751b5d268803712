"""The application behind a real port, in a thread of its own, that can go away and come back."""

import asyncio
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.support.accounts import Accounts, find_accounts
from tests.support.serving import serving

SECONDS = 30


class Faults:
    """What goes wrong between the application and who calls it; each counts down to nothing."""

    def __init__(self) -> None:
        self.lose_answers = 0
        self.answer: list[tuple[int, dict[str, str], bytes]] = []
        self.only = ""
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.hold = threading.Event()
        self.hold.set()

    def wrap(self, app: Any) -> Any:
        async def call(scope: Any, receive: Any, send: Any) -> None:
            path = scope.get("path", "")
            if scope["type"] != "http" or not path.endswith(self.only):
                await app(scope, receive, send)
                return
            self.seen.append((path, {k.decode(): v.decode() for k, v in scope["headers"]}))
            while not self.hold.is_set():
                await asyncio.sleep(0.01)
            if self.answer:
                status, headers, body = self.answer.pop(0)
                pairs = [(k.encode(), v.encode()) for k, v in headers.items()]
                await send({"type": "http.response.start", "status": status, "headers": pairs})
                await send({"type": "http.response.body", "body": body})
            elif self.lose_answers:
                self.lose_answers -= 1

                async def lose(message: Any) -> None:
                    """Say nothing."""

                await app(scope, receive, lose)
                send.__self__.transport.abort()
            else:
                await app(scope, receive, send)

        return call


class Served:
    """One application that is started, stopped and started again on the same port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.faults = Faults()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.accounts: Accounts | None = None
        self._thread: threading.Thread | None = None
        self._end: Callable[[], object] = lambda: None
        self._error: BaseException | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(SECONDS)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        if self._thread is not None:
            self._end()
            self._thread.join(SECONDS)
            assert not self._thread.is_alive()
        self._thread = None

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:  # noqa: BLE001
            self._error = error
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        async with Muster(self._settings, engine="off") as muster:
            if self.accounts is None:
                self.accounts = await find_accounts(muster)
            ending = asyncio.Event()
            self._end = partial(asyncio.get_running_loop().call_soon_threadsafe, ending.set)
            async with serving(self.faults.wrap(muster.app), port=self.port, grace_s=0):
                ready.set()
                await ending.wait()
