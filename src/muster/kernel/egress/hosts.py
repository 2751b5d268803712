"""Reads the host of an address the way the operating system would, before anything is resolved."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx2

from muster.kernel.egress.errors import EgressInvalidUrl

Address = IPv4Address | IPv6Address
Host = str | IPv4Address | IPv6Address

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_MAX_NAME = 253
_MAX_PORT = 65_535


def read_host(text: str) -> Host:
    """Return the address that a literal stands for, in any notation, or else the plain name.

    `2130706433`, `0x7f000001` and `127.1` are all 127.0.0.1 to a resolver, so they are to us.

    Raises:
        ValueError: It is neither an address nor a host name; the text says what is wrong.
    """
    text = text.lower().removesuffix(".")
    if ":" in text:
        if "%" in text:
            raise ValueError("an IPv6 address with a zone cannot be used")
        return IPv6Address(text.removeprefix("[").removesuffix("]"))
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return IPv4Address(socket.inet_aton(text))
        except OSError:
            raise ValueError(f"{text!r} is not an IPv4 address") from None
    if len(text) > _MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{text!r} is not a host name")
    return text


def read_address(text: str) -> Address:
    """Return an address as a resolver gave it, an IPv4-mapped one as its IPv4 address."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def read_url(url: str | httpx2.URL) -> tuple[httpx2.URL, Host]:
    """Return the parsed URL and its host.

    Raises:
        EgressInvalidUrl: Not http or https, no usable host or port, or a user name in it.
    """
    try:
        parsed = httpx2.URL(url)
        # Decoding an internationalised name can fail too, and later code would meet that.
        named = bool(parsed.host)
    except (httpx2.InvalidURL, ValueError):
        raise EgressInvalidUrl(
            "The address cannot be read. Give a full one, such as https://example.com/path."
        ) from None
    require_scheme(parsed)
    if not named:
        raise EgressInvalidUrl("The address names no host. Give one, as in https://example.com/.")
    if parsed.userinfo:
        raise EgressInvalidUrl(
            "The address holds a user name or password. Send credentials in a header instead."
        )
    if parsed.port is not None and not 0 < parsed.port <= _MAX_PORT:
        raise EgressInvalidUrl(f"The port of the address must lie between 1 and {_MAX_PORT}.")
    try:
        return parsed, read_host(parsed.raw_host.decode("ascii"))
    except ValueError:
        raise EgressInvalidUrl(
            "The host of the address is neither a host name nor an IP address."
        ) from None


def require_scheme(url: httpx2.URL) -> None:
    if url.scheme not in {"http", "https"}:
        raise EgressInvalidUrl("Only addresses that begin with http:// or https:// can be asked.")
