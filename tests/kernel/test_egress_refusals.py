"""Addresses that the guarded client refuses, at first and after a redirect."""

import asyncio

import pytest

from muster.kernel.egress import (
    AddressRefused,
    EgressFailed,
    EgressInvalidUrl,
    EgressPolicy,
    EgressTimeout,
)
from tests.kernel.egress_sites import (
    answer,
    egress,
    fixed,
    redirects,
    resolver,
    serve,
)

pytestmark = pytest.mark.anyio

# --- refused addresses ---------------------------------------------------------------------------

LOCAL_NOTATIONS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "0x7f000001",
    "0X7F.1",
    "2130706433",
    "017700000001",
    "0",
    "0.0.0.0",
    "127。0。0。1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
]
INVALID_URLS = [
    "",
    "/only/a/path",
    "example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "unix:///run/docker.sock",
    "gopher://example.com",
    "http://",
    "http:///path",
    "http://user:password@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.example.com/",
    "http://exam ple.com/",
    "http://127.0.0.1%00.example.com/",
    "http://%31%32%37.0.0.1/",
    "http://0177.0.0.1/",
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
    "http://0x/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://[fe80::1%25eth0]/",
    "http://[::1/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:-80/",
    "http://example.com:http/",
    "http://a..b/",
    f"http://{'a' * 64}.com/",
    "http://xn--\u00e9.com/",
    "http://example.com/\x00",
    "http://example.com/\ud800",
    " http://example.com/",
]


@pytest.mark.parametrize("host", LOCAL_NOTATIONS)
async def test_every_notation_of_a_local_address_is_refused(host: str) -> None:
    async with serve(fixed(answer())) as site, egress(EgressPolicy()) as client:
        url = f"http://{host}:{site.port}/"
        with pytest.raises(AddressRefused) as refused:
            await client.request("GET", url)
        with pytest.raises(AddressRefused):
            await client.check(url)
    assert not site.connections
    assert (refused.value.status, refused.value.code) == (403, "address_refused")
    assert "MUSTER_EGRESS_ALLOW" in refused.value.detail


@pytest.mark.parametrize("url", INVALID_URLS)
async def test_what_is_no_usable_address(url: str) -> None:
    async with egress(EgressPolicy(["0.0.0.0/0", "::/0"]), resolver=resolver([])) as client:
        with pytest.raises(EgressInvalidUrl) as invalid:
            await client.request("GET", url)
        with pytest.raises(EgressInvalidUrl):
            await client.check(url)
    assert (invalid.value.status, invalid.value.code) == (422, "invalid_url")


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.2.1",
        "198.19.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "fe80::1",
        "fe80::1%1",
        "fd00:ec2::254",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:0:10.0.0.1",
        "5f00::1",
        "2001:4860::5efe:10.0.0.1",
    ],
)
async def test_a_name_with_one_refused_address_is_refused_as_a_whole(address: str) -> None:
    names = resolver(["93.184.215.14", address])
    async with egress(EgressPolicy(), resolver=names) as client:
        for ask in (client.check, lambda url: client.request("GET", url)):
            with pytest.raises(AddressRefused) as refused:
                await ask("http://split.example/")
            assert "'split.example' resolves to a" in refused.value.detail
            assert address not in refused.value.detail
        with pytest.raises(AddressRefused):
            await client.resolve("split.example", 22)


@pytest.mark.parametrize(
    "name", ["metadata.google.internal", "METADATA.google.internal.", "metadata"]
)
async def test_metadata_names_are_refused_before_they_resolve(name: str) -> None:
    names = resolver(["93.184.215.14"])
    async with egress(EgressPolicy(["*.internal"]), resolver=names) as client:
        with pytest.raises(AddressRefused, match="is a cloud metadata service"):
            await client.check(f"http://{name}/computeMetadata/v1/")
    assert not names.asked


async def test_public_addresses_pass_the_check() -> None:
    names = resolver(["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
    async with egress(EgressPolicy(), resolver=names) as client:
        await client.check("https://example.com/hook?x=1")
        await client.check("http://bücher.example:8080/")
        await client.check("http://8.8.8.8/")
        await client.check("http://0x08080808/")
        await client.check("http://[2606:4700:4700::1111]/")
        assert await client.resolve("ssh.example", 22) == list(await names("", 0))
    assert names.asked[:2] == [("example.com", 443), ("xn--bcher-kva.example", 8080)]


@pytest.mark.parametrize("trouble", [OSError("no such host"), UnicodeError("label too long")])
async def test_a_name_that_does_not_resolve(trouble: Exception) -> None:
    async def fails(_: str, __: int) -> list[str]:
        raise trouble

    async with egress(resolver=fails) as client:
        await client.check("https://later.example/")
        for ask in (client.request("GET", "https://later.example/"), client.resolve("a.b", 22)):
            with pytest.raises(EgressFailed, match="does not resolve") as failed:
                await ask
            assert str(trouble) not in failed.value.detail
    assert (failed.value.status, failed.value.code) == (502, "egress_failed")


async def test_answers_of_a_name_server_that_are_no_addresses() -> None:
    async with egress(resolver=resolver(["not an address"])) as client:
        with pytest.raises(EgressFailed, match="does not resolve"):
            await client.request("GET", "http://odd.example/")


async def test_a_name_server_that_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: str, __: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("muster.kernel.egress.client._CHECK_RESOLVE_SECONDS", 0.05)
    async with egress(resolver=silent, connect_timeout_s=0.05) as client:
        await client.check("https://silent.example/")
        with pytest.raises(EgressTimeout):
            await client.request("GET", "https://silent.example/")
        with pytest.raises(EgressTimeout):
            await client.resolve("silent.example", 22)


async def test_resolve_wants_a_host() -> None:
    async with egress() as client:
        with pytest.raises(EgressInvalidUrl):
            await client.resolve("no host", 22)


# --- redirects -----------------------------------------------------------------------------------


async def test_five_redirects_are_followed_and_no_more() -> None:
    async with serve(redirects(*["/next"] * 5)) as site, egress() as client:
        response = await client.request("GET", site.url())
    assert (response.content, response.url) == (b"arrived", site.url("/next"))
    async with serve(redirects(*["/next"] * 6)) as site, egress() as client:
        with pytest.raises(EgressFailed, match="redirects too often"):
            await client.request("GET", site.url())
    assert len(site.seen) == 6


async def test_redirects_can_be_left_alone() -> None:
    async with serve(redirects("http://10.0.0.1/")) as site, egress() as client:
        response = await client.request("GET", site.url(), follow_redirects=False)
    assert (response.status, response.headers["location"]) == (302, "http://10.0.0.1/")


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "//10.0.0.1/x",
        "http://internal.example/",
        "http://[::ffff:10.0.0.1]/",
    ],
)
async def test_each_hop_is_checked(target: str) -> None:
    names = resolver(["10.0.0.1"])
    async with serve(redirects("/next", target)) as site, egress(resolver=names) as client:
        with pytest.raises(AddressRefused):
            await client.request("GET", site.url())
        assert len(site.seen) == 2


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://a.example/", "http://a:b@c.example/"]
)
async def test_a_redirect_to_what_cannot_be_asked(target: str) -> None:
    async with serve(redirects(target)) as site, egress() as client:
        with pytest.raises(EgressFailed, match="redirects to an address"):
            await client.request("GET", site.url())


async def test_a_redirect_that_cannot_be_read() -> None:
    async with serve(redirects("http://[::1/")) as site, egress() as client:
        with pytest.raises(EgressFailed, match="proper HTTP"):
            await client.request("GET", site.url())


SECRETS = {
    "Authorization": "Bearer secret",
    "Cookie": "session=secret",
    "X-Api-Key": "secret",
    "X-Tenant": "secret",
    "X-Plain": "plain",
}


@pytest.mark.parametrize("raw", [False, True])
async def test_credentials_stay_with_their_origin(raw: bool) -> None:
    async with (
        serve(fixed(answer(body=b"other"))) as other,
        serve(redirects("/same", other.url())) as site,
        egress() as client,
    ):
        if raw:
            library = client.client(secret_headers=["x-tenant"])
            await library.post(site.url(), headers=SECRETS, content=b"body")
        else:
            await client.request(
                "POST", site.url(), headers=SECRETS, content=b"body", secret_headers=["X-Tenant"]
            )
    first, second = site.seen
    wanted = {name.lower(): value for name, value in SECRETS.items()}
    assert wanted.items() <= first.headers.items()
    assert wanted.items() <= second.headers.items()
    (reached,) = other.seen
    assert reached.headers["x-plain"] == "plain"
    assert not {"authorization", "cookie", "x-api-key", "x-tenant"} & reached.headers.keys()
    assert "secret" not in str(reached)
