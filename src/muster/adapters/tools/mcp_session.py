"""One live session with a Model Context Protocol server, owned by one task."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from muster.adapters.tools.base import ToolFailed, ToolTimeout, ToolUnreachable
from muster.adapters.tools.mcp_configuration import McpConfiguration
from muster.kernel.egress import Egress, explain
from muster.kernel.errors import AppError, UpstreamFailed, UpstreamTimeout

if TYPE_CHECKING:
    from mcp.client import Client

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SHUTDOWN_S = 6.0
_SSE_READ_S = 600.0
_STREAM_BYTES = 64 * 2**20
_LAST_WORDS_S = 2.0
STDERR_SHOWN = 500


class SessionLost(Exception):
    """The connection ended. `reached` tells whether the server may have seen the request."""

    def __init__(self, *, reached: bool) -> None:
        super().__init__()
        self.reached = reached


class McpSession:
    """Connects in a task of its own and stays until it is idle for long, stopped, or dead.

    The connection's cancel scopes must be left by the task that entered them, which is why calls
    run beside the owner: a caller that is cancelled takes its own call along and nothing else.
    """

    def __init__(
        self,
        configuration: McpConfiguration,
        egress: Egress,
        *,
        trusted: bool,
        idle_timeout_s: float,
        connect_timeout_s: float,
    ) -> None:
        from muster.adapters.tools.mcp_stdio import ErrorOutput

        self.configuration = configuration
        self._egress = egress
        self._trusted = trusted
        self._idle_timeout_s = idle_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._errors = ErrorOutput()
        self._stop = asyncio.Event()
        self._in_flight = 0
        self._calls: set[asyncio.Future[Any]] = set()
        self.last_used = time.monotonic()
        self._connected: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own())

    @property
    def alive(self) -> bool:
        return not self._stop.is_set() and not self._owner.done()

    @property
    def idle(self) -> bool:
        return self._in_flight == 0

    async def use(self, operation: "Callable[[Client], Awaitable[T]]", *, timeout_s: float) -> T:
        """Run `operation` on the connection.

        Raises:
            SessionLost: The server went away before or during it.
            ToolTimeout: It took longer than `timeout_s`; the server is told to give it up.
            ToolFailed: The connection could not be made.
        """
        self._in_flight += 1
        try:
            # Shielded: others may wait for the same connection.
            client = await asyncio.shield(self._connected)
            return await self._run(operation, client, timeout_s)
        finally:
            self._in_flight -= 1
            self.last_used = time.monotonic()

    def retire(self) -> None:
        """Take no more calls; the connection is closed in the background."""
        self._stop.set()

    async def last_words(self) -> str:
        """The error output, once a process that ended has had the time to deliver all of it."""
        if self.configuration.transport == "stdio" and not self.alive:
            await asyncio.wait({self._owner}, timeout=_LAST_WORDS_S)
        return self._errors.text(self.configuration.hidden)

    async def aclose(self) -> None:
        """End the session and the server that was started for it."""
        self._stop.set()
        done, _ = await asyncio.wait({self._owner}, timeout=_SHUTDOWN_S)
        if not done:
            self._owner.cancel()
            await asyncio.wait({self._owner}, timeout=_SHUTDOWN_S)

    async def _run(
        self, operation: "Callable[[Client], Awaitable[T]]", client: "Client", timeout_s: float
    ) -> T:
        if not self.alive:
            raise SessionLost(reached=False)
        call = asyncio.ensure_future(operation(client))
        self._calls.add(call)
        call.add_done_callback(self._forget)
        try:
            await asyncio.wait(
                {call, self._owner}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if call.done():
                return call.result()
            if self._owner.done():
                raise SessionLost(reached=True)
            raise ToolTimeout(
                f"{self.configuration.label} did not answer within {timeout_s:g} seconds."
            )
        finally:
            # Cancelling the call sends the server a notice; that may outlast this caller.
            call.cancel()

    def _forget(self, call: asyncio.Future[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()

    async def _own(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._connect_timeout_s):
                    client = await stack.enter_async_context(self._connect())
                self._connected.set_result(client)
                await self._stay()
        except TimeoutError:
            self._fail(
                ToolTimeout(
                    f"{self.configuration.label} did not complete the handshake within "
                    f"{self._connect_timeout_s:g} seconds.{self._stderr_note()}"
                )
            )
        except asyncio.CancelledError:
            self._fail(ToolFailed(f"{self.configuration.label} was shut down."))
            raise
        except Exception as error:  # noqa: BLE001 - becomes the answer to whoever waits
            self._fail(self._explain(error))
        finally:
            self._stop.set()

    async def _stay(self) -> None:
        while not self._stop.is_set():
            left = self._idle_timeout_s - (time.monotonic() - self.last_used)
            if left <= 0 and self.idle:
                return
            # While a call runs the clock starts anew at its end.
            pause = left if left > 0 else self._idle_timeout_s
            try:
                async with asyncio.timeout(pause):
                    await self._stop.wait()
            except TimeoutError:
                continue

    @asynccontextmanager
    async def _connect(self) -> "AsyncGenerator[Client]":
        from mcp.client import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp_types import Implementation

        from muster import __version__
        from muster.adapters.tools.mcp_stdio import minimal_environment, stdio_transport

        own_name = Implementation(name="muster", version=__version__)
        configuration = self.configuration
        if configuration.transport == "stdio":
            transport = stdio_transport(
                [configuration.command or "", *configuration.args],
                environment=minimal_environment(configuration.env),
                cwd=configuration.cwd,
                errors=self._errors,
                on_exit=self._stop.set,
            )
            async with Client(transport, client_info=own_name, cache=None) as client:
                yield client
            return
        url = configuration.url or ""
        async with self._egress.client(
            trusted=self._trusted,
            # A tool may work for minutes before the first byte of its answer.
            timeout=_SSE_READ_S,
            max_bytes=_STREAM_BYTES,
            headers=configuration.headers,
            secret_headers=list(configuration.headers),
        ) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, client_info=own_name, cache=None) as client:
                yield client

    def _fail(self, error: AppError) -> None:
        if not self._connected.done():
            self._connected.set_exception(error)
            # Whoever waits gets it; without waiters it is no news.
            self._connected.exception()

    def _explain(self, error: BaseException) -> AppError:
        known = explain(error)
        if isinstance(known, UpstreamTimeout | UpstreamFailed):
            kind = ToolTimeout if isinstance(known, UpstreamTimeout) else ToolUnreachable
            return kind(f"{self.configuration.label} could not be connected. {known.detail}")
        if known is not None:
            return known
        if isinstance(error, OSError) and self.configuration.transport == "stdio":
            reason = error.strerror or "it cannot be started"
            return ToolUnreachable(f"{self.configuration.label} could not be started: {reason}.")
        logger.info("no session with an MCP server: %s", type(error).__name__)
        return ToolUnreachable(
            f"{self.configuration.label} could not be connected: it is not reachable or does not "
            f"speak the protocol.{self._stderr_note()}"
        )

    def _stderr_note(self) -> str:
        text = self._errors.text(self.configuration.hidden)[-STDERR_SHOWN:]
        return f" Its error output ends with: {text}" if text else ""
