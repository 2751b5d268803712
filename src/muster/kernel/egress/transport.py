"""The guarded transport: each hop of each request is checked, timed and measured here."""

import asyncio
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpcore2
import httpx2

from muster.kernel.egress.connect import Guard, GuardedBackend, Refusal
from muster.kernel.egress.errors import (
    AddressRefused,
    EgressFailed,
    EgressInvalidRequest,
    EgressInvalidUrl,
    EgressTimeout,
    ResponseTooLarge,
)
from muster.kernel.egress.hosts import read_url, require_scheme
from muster.kernel.errors import AppError

# Request extensions: httpx2 copies them to the request that follows a redirect.
DEADLINE = "muster.deadline"
MAX_BYTES = "muster.max_bytes"
SECRET_HEADERS = "muster.secret_headers"  # noqa: S105 - a key, not a secret
_HOP = "muster.hop"

# A header whose name holds one of these stays with the origin it was meant for.
_TELLING = (
    "auth",
    "cookie",
    "credential",
    "key",
    "password",
    "secret",
    "session",
    "signature",
    "token",
)
_IDLE_SECONDS = 5.0
_CONNECTIONS = 100
_IDLE_CONNECTIONS = 20


@dataclass(frozen=True, slots=True)
class _Hop:
    origin: httpx2.Origin
    cookie: str | None


class GuardedTransport(httpx2.AsyncBaseTransport):
    """A transport for `httpx2.AsyncClient`; without a guard addresses are not checked.

    What it raises are httpx2 errors with the matching error of Muster as `__cause__`.

    Args:
        guard: Decides about addresses; None for those that the operator set.
        max_bytes: Of a body, both as sent and after decompression.
        total_s: For all hops and the whole body, unless the request carries a deadline.
        secret_headers: Names of headers that must not follow a redirect to another origin.
    """

    def __init__(
        self,
        guard: Guard | None,
        *,
        ssl_context: ssl.SSLContext,
        max_bytes: float,
        total_s: float = math.inf,
        secret_headers: Collection[str] = (),
    ) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._total_s = total_s
        self._secret_headers = frozenset(secret_headers)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=GuardedBackend(guard) if guard else None,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = self._enter_hop(request)
        loop = asyncio.get_running_loop()
        deadline: float = request.extensions.setdefault(DEADLINE, loop.time() + self._total_s)
        limit: float = request.extensions.get(MAX_BYTES, self._max_bytes)

        @asynccontextmanager
        async def bounds() -> AsyncGenerator[None]:
            try:
                async with asyncio.timeout_at(None if math.isinf(deadline) else deadline):
                    yield
            except Refusal as refusal:
                raise httpx2.ConnectError(refusal.error.detail) from refusal.error
            except TimeoutError:
                raise httpx2.ReadTimeout("out of time") from _timeout(request)
            except _CORE_ERRORS as error:
                cause = _cause(error, request)
                kind = _BY_NAME.get(type(error).__name__, httpx2.TransportError)
                raise kind(cause.detail) from cause

        async with bounds():
            answer = await self._pool.handle_async_request(
                httpcore2.Request(
                    method=request.method,
                    url=httpcore2.URL(
                        scheme=request.url.raw_scheme,
                        host=host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=cast("httpx2.AsyncByteStream", request.stream),
                    extensions=request.extensions,
                )
            )
        return _decoded(answer, bounds, limit, request)

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _enter_hop(self, request: httpx2.Request) -> str:
        """Check the address, leave secrets behind, and return the host to connect to."""
        last = cast("_Hop | None", request.extensions.get(_HOP))
        try:
            host = self._check(request.url)
        except AddressRefused as error:
            raise httpx2.ConnectError(error.detail) from error
        except EgressInvalidUrl as error:
            raise httpx2.UnsupportedProtocol(error.detail) from (
                EgressFailed(f"{_origin(last.origin)} redirects to an address that is not usable.")
                if last
                else error
            )
        origin = request.url.origin
        if last and last.origin != origin:
            self._leave(last.origin, request)
        elif last and last.cookie and "cookie" not in request.headers:
            # httpx2 drops it on every redirect, but it was meant for this origin.
            request.headers["cookie"] = last.cookie
        request.extensions[_HOP] = _Hop(origin, request.headers.get("cookie"))
        return host

    def _check(self, url: httpx2.URL) -> str:
        if self._guard is None:
            require_scheme(url)
            return url.raw_host.decode("ascii")
        _, host = read_url(url)
        self._guard.check_literal(host)
        return str(host)

    def _leave(self, last: httpx2.Origin, request: httpx2.Request) -> None:
        if last.scheme == "https" and request.url.scheme == "http":
            refused = AddressRefused(
                f"{_origin(last)} redirects from https to http, which Muster does not follow. "
                "Give the address that it leads to."
            )
            raise httpx2.ConnectError(refused.detail) from refused
        named: Collection[str] = request.extensions.get(SECRET_HEADERS, ())
        secret = {name.lower() for name in (*self._secret_headers, *named)}
        for name in list(request.headers):
            if name in secret or any(word in name for word in _TELLING):
                del request.headers[name]


class _RawBody(httpx2.AsyncByteStream):
    """The body as it arrives, bounded: a compressed one may be long and still decode to nothing."""

    def __init__(
        self,
        answer: httpcore2.Response,
        bounds: Callable[[], AbstractAsyncContextManager[None]],
        limit: float,
        request: httpx2.Request,
    ) -> None:
        self._answer = answer
        self._stream = cast("AsyncIterable[bytes]", answer.stream)
        self._bounds = bounds
        self._limit = limit
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async with aclosing(cast("AsyncGenerator[bytes]", aiter(self._stream))) as chunks:
            while True:
                async with self._bounds():
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                received += len(chunk)
                _require_size(received, self._limit, self._request)
                yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()


class _Body(httpx2.AsyncByteStream):
    """The decoded body, bounded too: a small compressed one may become huge."""

    def __init__(self, raw: httpx2.Response, limit: float, request: httpx2.Request) -> None:
        self._raw = raw
        self._limit = limit
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        decoded = 0
        async with aclosing(self._raw.aiter_bytes()) as chunks:
            async for chunk in chunks:
                decoded += len(chunk)
                _require_size(decoded, self._limit, self._request)
                yield chunk

    async def aclose(self) -> None:
        await self._raw.aclose()


def _decoded(
    answer: httpcore2.Response,
    bounds: Callable[[], AbstractAsyncContextManager[None]],
    limit: float,
    request: httpx2.Request,
) -> httpx2.Response:
    """Return a response whose body is decompressed here, where it can be measured."""
    raw = httpx2.Response(
        answer.status, headers=answer.headers, stream=_RawBody(answer, bounds, limit, request)
    )
    headers = httpx2.Headers(raw.headers)
    if "content-encoding" in headers:
        del headers["content-encoding"]
        headers.pop("content-length", None)
    return httpx2.Response(
        answer.status,
        headers=headers,
        stream=_Body(raw, limit, request),
        extensions=cast("Any", answer).extensions,  # partly untyped in the library
    )


_CORE_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
)
_BY_NAME: dict[str, type[httpx2.TransportError]] = {
    kind.__name__: kind
    for kind in (
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.LocalProtocolError,
        httpx2.PoolTimeout,
        httpx2.ReadError,
        httpx2.ReadTimeout,
        httpx2.RemoteProtocolError,
        httpx2.WriteError,
        httpx2.WriteTimeout,
    )
}


def _cause(error: Exception, request: httpx2.Request) -> AppError:
    """Return what to tell the user about an error of the network."""
    where = _origin(request.url.origin)
    if isinstance(error, httpcore2.TimeoutException):
        return _timeout(request)
    if isinstance(error, httpcore2.LocalProtocolError):
        return EgressInvalidRequest("The method or a header holds characters HTTP does not take.")
    if error.args and isinstance(error.args[0], ssl.SSLError):
        return EgressFailed(f"No secure connection to {where}: check its certificate and port.")
    if isinstance(error, httpcore2.ConnectError):
        return EgressFailed(f"Nothing accepts connections at {where}. Check that it runs.")
    return EgressFailed(f"{where} broke off the connection or does not speak HTTP.")


def _timeout(request: httpx2.Request) -> EgressTimeout:
    return EgressTimeout(
        f"{_origin(request.url.origin)} did not answer in time. Try again, or allow it more time."
    )


def _require_size(size: int, limit: float, request: httpx2.Request) -> None:
    if size > limit:
        cause = ResponseTooLarge(
            f"The answer of {_origin(request.url.origin)} is larger than {limit:.0f} bytes. Ask "
            "for less of it, or raise the limit."
        )
        raise httpx2.ReadError(cause.detail) from cause


def _origin(origin: httpx2.Origin) -> str:
    return f"{origin.scheme}://{origin.host}"
