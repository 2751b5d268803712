"""Opens connections to checked addresses alone: resolve once, judge every answer, then pin."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import cast

import httpcore2

from muster.kernel.egress.errors import AddressRefused, EgressFailed
from muster.kernel.egress.hosts import Address, Host, read_address, read_host
from muster.kernel.egress.policy import EgressPolicy
from muster.kernel.errors import AppError

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


async def system_resolver(host: str, port: int) -> list[str]:
    """Ask the operating system for the addresses of a host, in its order of preference."""
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class Guard:
    """Turns a host into addresses that may be reached, or says why not."""

    def __init__(self, policy: EgressPolicy, resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver

    def check_literal(self, host: Host) -> None:
        """Judge what can be judged without asking a name server."""
        if isinstance(host, str):
            reason = self._policy.refuse_name(host)
        else:
            reason = self._policy.refuse_address(read_address(str(host)))
        if reason:
            raise _refused(str(host), f"is {reason}")

    async def resolve(self, host: Host, port: int) -> list[str]:
        """Return the addresses to connect to; all of them have been checked.

        Raises:
            AddressRefused: The host or any one of its addresses is refused.
            EgressFailed: The name does not resolve.
        """
        self.check_literal(host)
        if not isinstance(host, str):
            return [str(host)]
        try:
            addresses = [read_address(answer) for answer in await self._resolver(host, port)]
        except (OSError, ValueError):
            addresses = []
        if not addresses:
            raise EgressFailed(f"The host name {host!r} does not resolve. Check its spelling.")
        self._check_answers(host, addresses)
        return [str(address) for address in addresses]

    def _check_answers(self, name: str, addresses: Iterable[Address]) -> None:
        # One bad answer refuses all: which of them is connected to is not the user's to steer.
        for address in addresses:
            if reason := self._policy.refuse_address(address, name=name):
                raise _refused(name, f"resolves to {reason}")


class Refusal(httpcore2.ConnectError):
    """Carries our error through the connection pool, which drops the cause of an exception."""

    def __init__(self, error: AppError) -> None:
        super().__init__(error.detail)
        self.error = error


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """The only place where a socket is opened, so redirects and new connections pass it too.

    Unix sockets are not implemented on purpose.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is the library's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await self._guard.resolve(read_host(host), port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout from None
        except AppError as error:
            raise Refusal(error) from error
        while True:
            address = addresses.pop(0)
            # A dead first address leaves the next ones their share of the time.
            share = None if deadline is None else (deadline - loop.time()) / (len(addresses) + 1)
            try:
                return await self._network.connect_tcp(
                    address,
                    port,
                    timeout=share,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if not addresses:
                    raise


def _refused(host: str, reason: str) -> AddressRefused:
    return AddressRefused(
        f"{host!r} {reason}, which Muster does not reach. The operator can allow its network or "
        "name in MUSTER_EGRESS_ALLOW."
    )
