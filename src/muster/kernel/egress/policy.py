"""Which addresses may be reached: public ones, and those that the operator allowed."""

from collections.abc import Iterator, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from muster.kernel.egress.hosts import Address, read_host

_SPECIAL_V4 = [
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a carrier-grade NAT address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a reserved address"),
        ("192.88.99.0/24", "a reserved address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a reserved address"),
        ("198.51.100.0/24", "a reserved address"),
        ("203.0.113.0/24", "a reserved address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
]
_SPECIAL_V6 = [
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("ff00::/8", "a multicast address"),
        ("2001::/23", "a reserved address"),  # Teredo among them, which nobody needs any more
        ("2001:db8::/32", "a reserved address"),
        ("2002::/16", "a reserved address"),  # 6to4, the same
        ("3fff::/20", "a reserved address"),
    )
]
_METADATA = frozenset(
    ip_address(address)
    for address in (
        "169.254.169.254",
        "169.254.169.253",
        "169.254.170.2",
        "169.254.170.23",
        "169.254.0.23",
        "169.254.42.42",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::253",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
    )
)
_METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.tencentyun.com",
        "instance-data",
        "instance-data.ec2.internal",
    }
)
_METADATA_REASON = "a cloud metadata service"

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_WORD = 0xFFFF_FFFF


class EgressPolicy:
    """Decides by host name and by every address that the name resolved to.

    Public addresses may be reached; all others are refused unless an entry names them.

    Args:
        allow: Each entry is a network (`10.0.0.0/8`, `fd00::/8`), one address (`192.168.1.5`), a
            host name (`ollama.internal`) or all names below one (`*.example.internal`). A name
            may resolve to any address, so it should be one whose DNS the operator controls.
            The metadata service of a cloud is opened only by its very address or name, never
            by a wider network or a wildcard that happens to contain it.

    Raises:
        ValueError: An entry is none of these.
    """

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._names: set[str] = set()
        self._suffixes: list[str] = []
        for entry in allow:
            self._add(entry)

    def refuse_name(self, name: str) -> str | None:
        """Return why this host name may not be asked, whatever it resolves to, or None."""
        if name in _METADATA_NAMES and name not in self._names:
            return _METADATA_REASON
        return None

    def refuse_address(self, address: Address, *, name: str | None = None) -> str | None:
        """Return why this address, as an answer for `name`, may not be reached, or None."""
        if (name is not None and name in self._names) or self._has_single(address):
            return None
        if any(form in _METADATA for form in _forms(address)):
            return _METADATA_REASON
        below = name is not None and name.endswith(tuple(self._suffixes))
        if below or self._allows(address):
            return None
        for inner in _embedded(address):
            if not self._allows(inner) and (reason := _special_v4(inner)):
                return reason
        return _special(address)

    def _add(self, entry: str) -> None:
        text = entry.strip().lower()
        try:
            if "/" in text:
                self._add_network(ip_network(text))
            elif text.startswith("*."):
                self._suffixes.append(f".{_read_name(text[2:])}")
            elif ":" in text or text.replace(".", "").isdigit():
                self._add_network(ip_network(text))
            else:
                self._names.add(_read_name(text))
        except ValueError as error:
            raise ValueError(
                f"{entry!r} cannot be allowed: {error}. Name a network (10.0.0.0/8), an address "
                "(192.168.1.5), a host (ollama.internal) or all hosts below one "
                "(*.example.internal)."
            ) from None

    def _add_network(self, network: IPv4Network | IPv6Network) -> None:
        if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
            raise ValueError("an IPv4-mapped network has no effect, write the IPv4 network")
        self._networks.append(network)

    def _allows(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def _has_single(self, address: Address) -> bool:
        return any(
            network.prefixlen == network.max_prefixlen and address in network
            for network in self._networks
        )


def _read_name(text: str) -> str:
    name = read_host(text)
    if not isinstance(name, str):
        raise ValueError("an address must be written in full")  # noqa: TRY004 - one kind of error
    return name


def _special_v4(address: IPv4Address) -> str | None:
    return next((reason for network, reason in _SPECIAL_V4 if address in network), None)


def _special(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return _special_v4(address)
    for network, reason in _SPECIAL_V6:
        if address in network:
            return reason
    # Whatever is not known to be public is not: new ranges are refused until they are known.
    public = any(address in network for network in (_GLOBAL_UNICAST, _MAPPED, _NAT64))
    return None if public else "a reserved address"


def _forms(address: Address) -> Iterator[Address]:
    # A zone does not make it another address, and would make the comparison fail.
    yield address if isinstance(address, IPv4Address) else IPv6Address(int(address))
    yield from _embedded(address)


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that a gateway would deliver this IPv6 address to."""
    if isinstance(address, IPv4Address):
        return
    value = int(address)
    if address in _MAPPED or address in _NAT64:
        yield IPv4Address(value & _WORD)
    elif address in _SIX_TO_FOUR:
        yield IPv4Address(value >> 80 & _WORD)
    elif address in _TEREDO:
        yield IPv4Address(value >> 64 & _WORD)
        yield IPv4Address(~value & _WORD)
    elif value >> 32 & _WORD in _ISATAP:
        yield IPv4Address(value & _WORD)
