"""The client for addresses that users name, and the makers of clients for other libraries."""

import asyncio
import math
import os
import ssl
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache, cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from weakref import WeakSet

import httpx2

from muster.kernel.egress.connect import Guard, Resolver, system_resolver
from muster.kernel.egress.errors import (
    EgressFailed,
    EgressInvalidRequest,
    EgressInvalidUrl,
    EgressTimeout,
)
from muster.kernel.egress.failures import explained
from muster.kernel.egress.hosts import read_host, read_url
from muster.kernel.egress.policy import EgressPolicy
from muster.kernel.egress.responses import EgressResponse, EgressStream
from muster.kernel.egress.transport import (
    DEADLINE,
    MAX_BYTES,
    SECRET_HEADERS,
    GuardedTransport,
)

DEFAULT_MAX_BYTES = 10 * 2**20
MAX_REDIRECTS = 5

_CHECK_RESOLVE_SECONDS = 3.0
_PORTS = {"http": 80, "https": 443}
_RESERVED_OPTIONS = frozenset(
    {"transport", "mounts", "proxy", "trust_env", "verify", "cert", "http1", "http2", "limits"}
)

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]


def _verifying() -> ssl.SSLContext:
    """Return the verification of certificates by what the environment names."""
    return _read_certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _read_certificates(*_: str | None) -> ssl.SSLContext:
    """Read them once: it takes as long as a hundred requests, and a start does not need them."""
    return httpx2.create_ssl_context()


class Egress:
    """Sends requests to addresses that users named; one for the process, closed at its end.

    Hosts are resolved once per connection, each address is judged by the policy, and the
    connection goes to the address that was judged. Proxies of the environment have no effect;
    `SSL_CERT_FILE` and `SSL_CERT_DIR` do, for certificate authorities of the operator's own.

    Args:
        policy: Which addresses may be reached.
        timeout_s: For a request with all its redirects and the whole body.
        max_bytes: Of a body after decompression.
        connect_timeout_s: For resolving a name and connecting.
        resolver: Returns the addresses of a host; the operating system's by default.
        ssl_context: How certificates are verified.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        timeout_s: float = 30,
        max_bytes: int = DEFAULT_MAX_BYTES,
        connect_timeout_s: float = 10,
        resolver: Resolver = system_resolver,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = Guard(policy, resolver)
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._connect_timeout_s = connect_timeout_s
        self._ssl_context = ssl_context
        self._clients: WeakSet[httpx2.AsyncClient] = WeakSet()

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        return self.client()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        json: Any = None,
        content: bytes | str | None = None,
        data: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
        follow_redirects: bool = True,
        secret_headers: Collection[str] = (),
    ) -> EgressResponse:
        """Send a request and read the whole answer, whatever its status.

        Args:
            method: In capitals.
            url: Absolute, http or https, without credentials in it.
            headers: `Authorization`, `Cookie` and others whose name tells of a secret are not
                sent on when a redirect leads to another scheme, host or port.
            params: Added to the query of the address.
            json: Body to be sent as JSON. None is no body.
            content: Body to be sent as it is.
            data: Body to be sent as a form.
            timeout_s: Instead of that of this client.
            max_bytes: Instead of that of this client.
            follow_redirects: Up to five, each checked like the first address.
            secret_headers: Further headers that must not reach another origin.

        Raises:
            EgressInvalidUrl: The address is not one that can be asked.
            EgressInvalidRequest: The method, a header or the body cannot be put into HTTP.
            AddressRefused: The address, or one that it redirects to, may not be reached.
            EgressFailed: No connection, no such host, no proper HTTP, too many redirects.
            EgressTimeout: Out of time.
            ResponseTooLarge: The body is larger than allowed.
        """
        async with self.stream(
            method,
            url,
            headers=headers,
            params=params,
            json=json,
            content=content,
            data=data,
            timeout_s=timeout_s,
            max_bytes=max_bytes,
            follow_redirects=follow_redirects,
            secret_headers=secret_headers,
        ) as response:
            body = b"".join([chunk async for chunk in response])
        return EgressResponse(response.status, response.headers, body, response.url)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        json: Any = None,
        content: bytes | str | None = None,
        data: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
        follow_redirects: bool = True,
        secret_headers: Collection[str] = (),
    ) -> AsyncGenerator[EgressStream]:
        """Send a request and yield the answer once its headers are here; see `request`."""
        target, _ = read_url(url)
        total_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            request = self._client.build_request(
                method,
                target.copy_merge_params(_pairs(params)) if params else target,
                headers=dict(headers or {}),
                json=json,
                content=content,
                data=dict(data) if data is not None else None,
                timeout=self._timeouts(total_s),
                extensions={
                    DEADLINE: asyncio.get_running_loop().time() + total_s,
                    MAX_BYTES: self._max_bytes if max_bytes is None else max_bytes,
                    SECRET_HEADERS: tuple(secret_headers),
                },
            )
        except (httpx2.InvalidURL, ValueError):
            raise EgressInvalidRequest(
                "A header or the body of the request holds what HTTP or JSON cannot express."
            ) from None
        with explained():
            response = await self._client.send(
                request, stream=True, follow_redirects=follow_redirects
            )
        try:
            yield EgressStream(response)
        finally:
            await response.aclose()

    def client(
        self,
        *,
        trusted: bool = False,
        timeout: float | httpx2.Timeout | None = None,
        total_timeout_s: float | None = None,
        max_bytes: float | None = None,
        secret_headers: Collection[str] = (),
        **options: Any,
    ) -> httpx2.AsyncClient:
        """Return a client for a library that wants one; it is closed with this object.

        What goes wrong surfaces as the usual httpx2 error, such as `ConnectError` for a refused
        address and `ReadError` for a body that is too large; `explain` gives the error of Muster
        behind it. It follows redirects as `request` does and keeps no cookies.

        Args:
            trusted: The address was set by the operator: it is not checked.
            timeout: Seconds for each single read or write; connecting has its own limit.
                This object's `timeout_s` by default.
            total_timeout_s: For a request with its whole body. Without limit by default, since
                streams of such libraries stay open.
            max_bytes: Of one body. This object's by default, without limit for a trusted
                client; `math.inf` is without limit.
            secret_headers: Further headers that must not follow a redirect to another origin.
            options: Of `httpx2.AsyncClient`: `headers`, `base_url`, `auth`, `params`, `cookies`,
                `event_hooks`, `follow_redirects`, `max_redirects`, `default_encoding`.
        """
        if reserved := _RESERVED_OPTIONS & options.keys():
            raise TypeError(f"options that would pass by the guard: {', '.join(sorted(reserved))}")
        if max_bytes is None:
            max_bytes = math.inf if trusted else self._max_bytes
        transport = GuardedTransport(
            None if trusted else self._guard,
            ssl_context=self._ssl_context or _verifying(),
            max_bytes=max_bytes,
            total_s=math.inf if total_timeout_s is None else total_timeout_s,
            secret_headers=secret_headers,
        )
        if timeout is None:
            timeout = self._timeout_s
        defaults: dict[str, Any] = {
            "follow_redirects": True,
            "max_redirects": MAX_REDIRECTS,
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),
        }
        client = httpx2.AsyncClient(
            transport=transport,
            trust_env=False,
            timeout=timeout if isinstance(timeout, httpx2.Timeout) else self._timeouts(timeout),
            **(defaults | options),
        )
        self._clients.add(client)
        return client

    async def check(self, url: str) -> None:
        """Raise when this address may not be reached; to be used when a user saves it.

        A name that does not resolve at this moment passes: it may do so later, and each
        connection is checked again.

        Raises:
            EgressInvalidUrl: Not an http or https address that can be asked.
            AddressRefused: Its host is refused.
        """
        parsed, host = read_url(url)
        self._guard.check_literal(host)
        try:
            async with asyncio.timeout(_CHECK_RESOLVE_SECONDS):
                await self._guard.resolve(host, parsed.port or _PORTS[parsed.scheme])
        except (TimeoutError, EgressFailed):
            return

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return checked addresses to connect to, for protocols other than HTTP.

        Raises:
            EgressInvalidUrl: It is neither a host name nor an address.
            AddressRefused: The host or one of its addresses is refused.
            EgressFailed: The name does not resolve.
            EgressTimeout: The name server did not answer.
        """
        try:
            target = read_host(host)
        except ValueError:
            raise EgressInvalidUrl("The host is neither a host name nor an IP address.") from None
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await self._guard.resolve(target, port)
        except TimeoutError:
            raise EgressTimeout(f"{host!r} did not resolve in time. Try again.") from None

    async def aclose(self) -> None:
        """Close the connections of this object and of every client that it gave out."""
        for client in list(self._clients):
            await client.aclose()

    def _timeouts(self, seconds: float) -> httpx2.Timeout:
        return httpx2.Timeout(seconds, connect=min(seconds, self._connect_timeout_s))


def _pairs(params: Params) -> list[tuple[str, Any]]:
    return list(params.items() if isinstance(params, Mapping) else params)
