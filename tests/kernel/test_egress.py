"""The guarded client against real servers on this machine, and its policy by properties."""

import asyncio
import gzip
import json
import math
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from muster.kernel.egress import (
    AddressRefused,
    Egress,
    EgressFailed,
    EgressInvalidRequest,
    EgressInvalidUrl,
    EgressPolicy,
    EgressResponse,
    EgressTimeout,
    ResponseTooLarge,
    explain,
)
from muster.kernel.errors import AppError

pytestmark = pytest.mark.anyio

LOCAL = EgressPolicy(["127.0.0.1"])
MEBIBYTE = 2**20


# --- a small server ------------------------------------------------------------------------------


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    port: int = 0
    scheme: str = "http"
    connections: int = 0
    names: list[str | None] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    head = {"content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} X", *(f"{k.replace('_', '-')}: {v}" for k, v in head.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def fixed(content: bytes) -> Handler:
    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return handle


def redirects(*hops: str, status: int = 302) -> Handler:
    """Send to each of the given places in turn, by the number of the request."""
    left = list(hops)

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        content = answer(status, location=left.pop(0)) if left else answer(body=b"arrived")
        writer.write(content)

    return handle


@asynccontextmanager
async def serve(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    site = Site(scheme="https" if tls else "http")
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        site.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                method, target, _ = first.split(" ")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                request = Request(method, target, headers, body)
                site.seen.append(request)
                await handler(request, writer)
                await writer.drain()
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            site.finished.set()
            writer.close()

    if tls:
        tls.sni_callback = lambda _socket, name, _context: site.names.append(name)
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def egress(policy: EgressPolicy = LOCAL, **options: Any) -> AsyncIterator[Egress]:
    client = Egress(policy, **options)
    try:
        yield client
    finally:
        await client.aclose()


def resolver(*answers: list[str]) -> Any:
    """Give these answers one after the other, then the last one again and again."""
    left = list(answers)
    asked: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return left.pop(0) if len(left) > 1 else left[0]

    resolve.asked = asked  # type: ignore[attr-defined]
    return resolve


# --- requests ------------------------------------------------------------------------------------


async def test_sends_what_it_is_given_and_reads_the_answer() -> None:
    body = json.dumps({"name": "Grüße"}).encode()
    reply = answer(201, body, content_type="Application/JSON; charset=utf-8", x_one="1")
    async with serve(fixed(reply)) as site, egress() as client:
        response = await client.request(
            "POST",
            site.url("/a?x=1"),
            headers={"X-Name": "value"},
            params={"y": 2},
            json={"a": 1},
        )
        await client.request("PUT", site.url(), params=[("a", "1"), ("a", "2")], content="raw")
        await client.request("POST", site.url(), data={"form": "field"})
    assert isinstance(response, EgressResponse)
    assert (response.status, response.is_success, response.content) == (201, True, body)
    assert response.headers["X-One"] == "1"
    assert response.media_type == "application/json"
    assert response.json() == {"name": "Grüße"}
    assert response.text() == body.decode()
    assert response.url == site.url("/a?x=1&y=2")
    first, second, third = site.seen
    assert (first.method, first.target, first.body) == ("POST", "/a?x=1&y=2", b'{"a":1}')
    assert first.headers["x-name"] == "value"
    assert (second.target, second.body) == ("/?a=1&a=2", b"raw")
    assert third.body == b"form=field"
    assert site.connections == 1


@pytest.mark.parametrize(
    ("content_type", "content", "text"),
    [
        ("text/plain; charset=latin-1", "é".encode("latin-1"), "é"),
        ('text/plain; charset="UTF-8"; x=y', "é".encode(), "é"),
        ("text/plain; charset=no-such", "é".encode(), "é"),
        ("text/plain; charset=rot13", b"abc", "abc"),
        ("text/plain", b"\xff", "\ufffd"),
    ],
)
def test_text_follows_the_charset(content_type: str, content: bytes, text: str) -> None:
    response = EgressResponse(200, {"content-type": content_type}, content, "http://x/")
    assert response.text() == text


def test_an_answer_that_is_not_json() -> None:
    response = EgressResponse(500, {}, b"<html>", "http://x/")
    assert response.media_type is None
    assert not response.is_success
    with pytest.raises(EgressFailed, match="not JSON"):
        response.json()


async def test_keeps_no_cookies() -> None:
    async with serve(fixed(answer(set_cookie="a=b; Path=/"))) as site, egress() as client:
        await client.request("GET", site.url())
        await client.request("GET", site.url())
    assert all("cookie" not in request.headers for request in site.seen)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X-Bad": "é\u4e2d"}},
        {"headers": {"X-Bad": "a\r\nX-Injected: b"}},
        {"json": {"a": math.nan}},
        {"params": {"a": "b" * 70_000}},
    ],
)
async def test_what_http_cannot_express(options: dict[str, Any]) -> None:
    async with serve(fixed(answer())) as site, egress() as client:
        with pytest.raises(EgressInvalidRequest):
            await client.request("POST", site.url(), **options)
    assert not site.seen


async def test_proxies_of_the_environment_have_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(fixed(answer(body=b"proxy"))) as proxy, serve(fixed(answer())) as site:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        async with egress() as client:
            assert (await client.request("GET", site.url())).content == b""
            assert (await client.client(trusted=True).get(site.url())).content == b""
    assert not proxy.seen


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


# --- pinning -------------------------------------------------------------------------------------


async def test_a_name_is_resolved_once_per_connection_and_keeps_its_host_header() -> None:
    names = resolver(["127.0.0.1"], ["10.0.0.1"])
    async with serve(fixed(answer())) as site, egress(resolver=names) as client:
        await client.request("GET", site.url(host="Rebind.Example."))
        await client.request("GET", site.url(host="rebind.example"))
    assert names.asked == [("rebind.example", site.port)]
    assert site.connections == 1
    assert site.seen[0].headers["host"] == f"rebind.example.:{site.port}"


async def test_a_name_that_changes_its_answer_is_refused_at_the_next_connection() -> None:
    names = resolver(["127.0.0.1"], ["10.0.0.1"])
    reply = answer(connection="close")
    async with serve(fixed(reply)) as site, egress(resolver=names) as client:
        await client.request("GET", site.url(host="rebind.example"))
        with pytest.raises(AddressRefused):
            await client.request("GET", site.url(host="rebind.example"))
    assert site.connections == 1
    assert len(names.asked) == 2


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    policy = EgressPolicy(["127.0.0.1", "::1"])
    names = resolver(["::1", "127.0.0.1"])
    async with serve(fixed(answer())) as site, egress(policy, resolver=names) as client:
        assert (await client.request("GET", site.url(host="two.example"))).status == 200
        assert (
            await client.client(timeout=httpx2.Timeout(None)).get(site.url(host="two.example"))
        ).status_code == 200


async def test_the_system_resolver_is_the_default() -> None:
    async with serve(fixed(answer())) as site:
        async with egress(EgressPolicy(["localhost"])) as client:
            assert (await client.request("GET", site.url(host="localhost"))).status == 200
        async with egress(EgressPolicy()) as client:
            with pytest.raises(AddressRefused, match="'localhost' resolves to a loopback"):
                await client.request("GET", site.url(host="localhost"))
    assert site.connections == 1


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts of a server with a certificate for `name` and of a client trusting it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


async def test_tls_is_verified_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    server, trusting = certificate("secure.example", tmp_path)
    names = resolver(["127.0.0.1"])
    async with serve(fixed(answer()), tls=server) as site:
        async with egress(resolver=names, ssl_context=trusting) as client:
            assert (await client.request("GET", site.url(host="secure.example."))).status == 200
            with pytest.raises(EgressFailed, match="certificate"):
                await client.request("GET", site.url(host="other.example"))
        async with egress(resolver=names) as client:
            with pytest.raises(EgressFailed, match="certificate"):
                await client.request("GET", site.url(host="secure.example"))
    assert site.names[0] == "secure.example"
    assert len(site.seen) == 1


async def test_a_redirect_from_https_to_http_is_refused(tmp_path: Path) -> None:
    server, trusting = certificate("secure.example", tmp_path)
    names = resolver(["127.0.0.1"])
    async with serve(fixed(answer())) as plain:
        there = redirects(plain.url(host="secure.example"))
        async with (
            serve(there, tls=server) as site,
            egress(resolver=names, ssl_context=trusting) as client,
        ):
            with pytest.raises(AddressRefused, match="from https to http"):
                await client.request("GET", site.url(host="secure.example"))
    assert not plain.seen


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


# --- limits --------------------------------------------------------------------------------------


async def test_a_body_up_to_the_limit_is_read() -> None:
    async with serve(fixed(answer(body=b"x" * 1000))) as site, egress(max_bytes=1000) as client:
        assert len((await client.request("GET", site.url())).content) == 1000
        with pytest.raises(ResponseTooLarge) as large:
            await client.request("GET", site.url(), max_bytes=999)
    assert (large.value.status, large.value.code) == (502, "response_too_large")


async def test_an_endless_body_is_cut_off() -> None:
    async def endless(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serve(endless) as site, egress() as client:
        with pytest.raises(ResponseTooLarge):
            await client.request("GET", site.url())
        with anyio.fail_after(5):
            await site.finished.wait()


def bomb(kind: str) -> tuple[str, bytes]:
    zeros = b"\0" * (64 * MEBIBYTE)
    if kind == "deflate":
        return kind, zlib.compress(zeros)
    once = gzip.compress(zeros)
    return (kind, once) if kind == "gzip" else (kind, gzip.compress(once))


@pytest.mark.parametrize("kind", ["gzip", "deflate", "gzip, gzip"])
@pytest.mark.parametrize("raw", [False, True])
async def test_a_compressed_bomb_is_not_unpacked(kind: str, raw: bool) -> None:
    encoding, content = bomb(kind)
    assert len(content) < MEBIBYTE
    reply = answer(body=content, content_encoding=encoding)
    async with serve(fixed(reply)) as site, egress(max_bytes=2 * MEBIBYTE) as client:
        if raw:
            with pytest.raises(httpx2.ReadError) as failed:
                await client.client().get(site.url())
            assert isinstance(explain(failed.value), ResponseTooLarge)
        else:
            with pytest.raises(ResponseTooLarge):
                await client.request("GET", site.url())


async def test_a_compressed_body_that_unpacks_to_nothing_is_measured_as_sent() -> None:
    nothing = b"\x00\x00\x00\xff\xff" * 1000  # stored blocks of length nought
    content = gzip.compress(b"")[:10] + nothing
    reply = answer(body=content, content_encoding="gzip")
    async with serve(fixed(reply)) as site, egress(max_bytes=1000) as client:
        with pytest.raises(ResponseTooLarge):
            await client.request("GET", site.url())


async def test_a_compressed_body_is_unpacked() -> None:
    reply = answer(body=gzip.compress(b"unpacked"), content_encoding="gzip")
    async with serve(fixed(reply)) as site, egress() as client:
        response = await client.request("GET", site.url())
        library = await client.client().get(site.url())
    assert response.content == library.content == b"unpacked"
    assert "content-encoding" not in response.headers


async def test_a_body_that_is_not_what_it_says() -> None:
    reply = answer(body=b"not compressed", content_encoding="gzip")
    async with serve(fixed(reply)) as site, egress() as client:
        with pytest.raises(EgressFailed, match="compressed"):
            await client.request("GET", site.url())


async def test_headers_alone_keep_their_length() -> None:
    reply = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"
    async with serve(fixed(reply)) as site, egress() as client:
        response = await client.request("HEAD", site.url())
    assert (response.content, response.headers["content-length"]) == (b"", "99999999")


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"])
async def test_a_server_that_stops_answering(start: bytes) -> None:
    async def stall(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await writer.drain()
        await asyncio.Event().wait()

    async with serve(stall) as site, egress(timeout_s=0.2) as client:
        with pytest.raises(EgressTimeout) as late:
            await client.request("GET", site.url())
    assert (late.value.status, late.value.code) == (504, "egress_timeout")


async def drip(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def test_the_time_limit_is_for_the_whole_body() -> None:
    async with serve(drip) as site, egress() as client:
        with anyio.fail_after(5), pytest.raises(EgressTimeout):
            await client.request("GET", site.url(), timeout_s=0.3)
        library = client.client(total_timeout_s=0.3)
        with anyio.fail_after(5), pytest.raises(httpx2.ReadTimeout) as late:
            await library.get(site.url())
        assert isinstance(explain(late.value), EgressTimeout)


async def test_the_time_limit_is_for_all_redirects_together() -> None:
    async def slow(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(answer(302, location="/again"))

    async with serve(slow) as site, egress() as client:
        with pytest.raises(EgressTimeout):
            await client.request("GET", site.url(), timeout_s=1)
    assert 1 < len(site.seen) < 5


async def test_the_time_limit_cancels_nothing_of_the_caller() -> None:
    async with serve(fixed(answer(body=b"x"))) as site, egress() as client:
        async with client.stream("GET", site.url(), timeout_s=0.5) as response:
            await asyncio.sleep(0.7)
        assert response.status == 200


async def test_nothing_listens() -> None:
    async with serve(fixed(answer())) as site:
        pass
    async with egress() as client:
        with pytest.raises(EgressFailed, match="Nothing accepts connections") as failed:
            await client.request("GET", site.url())
    assert "Errno" not in failed.value.detail


@pytest.mark.parametrize("reply", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 200 OK\r\nconte"])
async def test_what_does_not_speak_http(reply: bytes) -> None:
    async def broken(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        writer.close()

    async with serve(broken) as site, egress() as client:
        with pytest.raises(EgressFailed, match="broke off"):
            await client.request("GET", site.url())


# --- streams and clients for libraries -----------------------------------------------------------


async def test_a_stream_yields_while_the_server_still_sends() -> None:
    go_on = asyncio.Event()

    async def two(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(content_type="text/event-stream", content_length="2") + b"a")
        await writer.drain()
        await go_on.wait()
        writer.write(b"b")

    async with (
        serve(two) as site,
        egress() as client,
        client.stream("GET", site.url("/events")) as response,
    ):
        assert (response.status, response.media_type) == (200, "text/event-stream")
        assert (response.url, response.headers["Content-Length"]) == (site.url("/events"), "2")
        chunks: list[bytes] = []
        async for chunk in response:
            chunks.append(chunk)
            go_on.set()
    assert chunks == [b"a", b"b"]


async def test_a_stream_is_bounded_and_its_connection_is_closed_on_leaving() -> None:
    async with serve(drip) as site, egress(max_bytes=3) as client:
        async with client.stream("GET", site.url()) as response:
            with pytest.raises(ResponseTooLarge):
                async for _ in response:
                    pass
        async with client.stream("GET", site.url()) as response:
            pass
        with anyio.fail_after(5):
            await site.finished.wait()


async def test_a_library_client_is_guarded_and_explains_itself() -> None:
    names = resolver(["10.0.0.1"])
    async with serve(redirects("http://other.example/")) as site, egress(resolver=names) as client:
        library = client.client(base_url=site.url(), headers={"X-One": "1"}, timeout=5)
        assert isinstance(library, httpx2.AsyncClient)
        for path in ("", "http://internal.example/", "http://10.0.0.1/"):
            with pytest.raises(httpx2.ConnectError) as refused:
                await library.get(path)
            explained = explain(refused.value)
            assert isinstance(explained, AddressRefused)
            assert explained.detail in str(refused.value)
        with pytest.raises(httpx2.UnsupportedProtocol) as invalid:
            await library.get("ftp://a.example/")
        assert isinstance(explain(invalid.value), EgressInvalidUrl)
    assert site.seen[0].headers["x-one"] == "1"


async def test_a_trusted_client_reaches_what_the_operator_set() -> None:
    async with (
        serve(fixed(answer(body=b"x" * 100))) as site,
        egress(EgressPolicy(), max_bytes=10) as client,
    ):
        assert (await client.client(trusted=True).get(site.url())).status_code == 200
        with pytest.raises(httpx2.ReadError):
            await client.client(trusted=True, max_bytes=10).get(site.url())
        with pytest.raises(httpx2.UnsupportedProtocol):
            await client.client(trusted=True).get("ftp://127.0.0.1/")


async def test_a_library_client_may_have_no_limit() -> None:
    async with serve(fixed(answer(body=b"x" * 100))) as site, egress(max_bytes=10) as client:
        assert len((await client.client(max_bytes=math.inf).get(site.url())).content) == 100


@pytest.mark.parametrize("option", ["transport", "proxy", "mounts", "trust_env", "verify"])
async def test_no_option_passes_by_the_guard(option: str) -> None:
    async with egress() as client:
        with pytest.raises(TypeError, match=option):
            client.client(timeout=1, **dict[str, Any]({option: None}))


async def test_closing_closes_the_clients_it_gave_out() -> None:
    async with egress() as client:
        library = client.client()
    assert library.is_closed


def test_explain_looks_through_what_libraries_wrap() -> None:
    ours = AddressRefused("no")
    wrapped = RuntimeError("sdk")
    wrapped.__cause__ = httpx2.ConnectError("no")
    wrapped.__cause__.__cause__ = ours
    assert explain(ExceptionGroup("tasks", [ValueError("other"), wrapped])) is ours
    assert explain(ours) is ours
    assert explain(RuntimeError("other")) is None
    timeout = RuntimeError("outer")
    timeout.__context__ = httpx2.TooManyRedirects("x")
    timeout.__context__.__context__ = timeout
    assert isinstance(explain(timeout), EgressFailed)
    circle = ValueError("one")
    circle.__cause__ = circle
    assert explain(circle) is None


def test_every_error_is_one_of_ours() -> None:
    for kind in (
        AddressRefused,
        EgressFailed,
        EgressInvalidRequest,
        EgressInvalidUrl,
        EgressTimeout,
        ResponseTooLarge,
    ):
        assert issubclass(kind, AppError)
