"""The policy of the guarded client: what is refused, what an operator can allow."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.kernel.egress import EgressPolicy


def refused(policy: EgressPolicy, address: str, name: str | None = None) -> str | None:
    return policy.refuse_address(ip_address(address), name=name)


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.9.8.7", "192.168.0.1"),
        (" 192.168.1.5 ", "192.168.1.5", "192.168.1.6"),
        ("fd00::/8", "fd12::1", "fe80::1"),
        ("::1", "::1", "127.0.0.1"),
        ("10.0.0.0/8", "64:ff9b::a00:1", "64:ff9b::c0a8:1"),
        ("fe80::/10", "fe80::1%2", "10.0.0.1"),
        ("64:ff9b:1::/48", "64:ff9b:1::a00:1", "64:ff9b::a00:1"),
    ],
)
def test_allowed_networks(entry: str, inside: str, outside: str) -> None:
    policy = EgressPolicy([entry])
    assert refused(policy, inside) is None
    assert refused(policy, outside)
    assert refused(EgressPolicy(), inside)


def test_allowed_names() -> None:
    policy = EgressPolicy(["Ollama.internal.", "*.example.internal", "metadata"])
    assert refused(policy, "10.0.0.1", "ollama.internal") is None
    assert refused(policy, "10.0.0.1", "a.b.example.internal") is None
    assert refused(policy, "10.0.0.1", "example.internal")
    assert refused(policy, "10.0.0.1", "notexample.internal")
    assert refused(policy, "10.0.0.1", "ollama.internal.evil.example")
    assert refused(policy, "10.0.0.1")
    assert policy.refuse_name("metadata") is None


def test_only_its_own_address_opens_a_metadata_service() -> None:
    wide = EgressPolicy(["0.0.0.0/0", "::/0", "*.internal"])
    for address in ("169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "100.100.100.200"):
        assert refused(wide, address) == "a cloud metadata service"
        assert refused(wide, address, "host.internal") == "a cloud metadata service"
    assert refused(wide, "127.0.0.1") is None
    assert refused(EgressPolicy(["169.254.169.254"]), "169.254.169.254") is None
    assert refused(EgressPolicy(["named.internal"]), "169.254.169.254", "named.internal") is None


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.",
        "*.*.internal",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "http://host",
        "host:80",
        "10.0.0",
        "2130706433",
        "0x7f000001",
        "::ffff:10.0.0.0/104",
        "::ffff:10.0.0.1",
        "a b",
        "a,b",
    ],
)
def test_entries_that_mean_nothing(entry: str) -> None:
    with pytest.raises(ValueError, match="cannot be allowed"):
        EgressPolicy([entry])


def _high(prefix: str) -> int:
    return int(IPv6Address(prefix))


V4 = st.ip_addresses(v=4).map(lambda a: IPv4Address(int(a)))
REFUSED_V4 = V4.filter(lambda a: EgressPolicy().refuse_address(a) is not None) | st.sampled_from(
    [IPv4Address(a) for a in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0")]
)
PUBLIC_V4 = st.sampled_from([IPv4Address(a) for a in ("8.8.8.8", "93.184.215.14", "1.1.1.1")])


def forms(v4: IPv4Address, noise: int) -> dict[str, IPv6Address]:
    value = int(v4)
    host = noise & 0xFFFF_FFFF
    return {
        "mapped": IPv6Address(_high("::ffff:0:0") | value),
        "nat64": IPv6Address(_high("64:ff9b::") | value),
        "6to4": IPv6Address(_high("2002::") | value << 80 | noise & (1 << 80) - 1),
        "teredo server": IPv6Address(
            _high("2001::") | value << 64 | ~int(IPv4Address("8.8.8.8")) & 0xFFFF_FFFF
        ),
        "teredo client": IPv6Address(_high("2001::") | 0x0808_0808 << 64 | ~value & 0xFFFF_FFFF),
        "isatap": IPv6Address(_high("2606:4700::") | host << 64 | 0x5EFE << 32 | value),
        "isatap global": IPv6Address(_high("2606:4700::") | 0x0200_5EFE << 32 | value),
    }


@given(v4=REFUSED_V4, noise=st.integers(0, 2**80 - 1))
def test_no_ipv6_form_hides_a_refused_address(v4: IPv4Address, noise: int) -> None:
    for name, address in forms(v4, noise).items():
        assert EgressPolicy().refuse_address(address), name


@given(v4=PUBLIC_V4, noise=st.integers(0, 2**32 - 1))
def test_ipv6_forms_of_public_addresses_pass(v4: IPv4Address, noise: int) -> None:
    living = {"mapped", "nat64", "isatap", "isatap global"}
    for name, address in forms(v4, noise << 1).items():
        assert (EgressPolicy().refuse_address(address) is None) is (name in living), name


def test_ipv6_forms_show_a_metadata_service_even_in_an_allowed_network() -> None:
    wide = EgressPolicy(["::/0", "0.0.0.0/0"])
    for name, address in forms(IPv4Address("169.254.169.254"), 1).items():
        assert wide.refuse_address(address) == "a cloud metadata service", name


@given(st.ip_addresses())
def test_what_passes_is_global_to_the_standard_library(address: IPv4Address | IPv6Address) -> None:
    translated = address.version == 6 and str(address).startswith(("::ffff:", "64:ff9b::"))
    if EgressPolicy().refuse_address(address) is None and not translated:
        assert address.is_global
        assert not address.is_multicast
