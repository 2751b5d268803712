"""The guarded client against real servers: requests, pinning, clients for libraries."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from muster.kernel.egress import (
    AddressRefused,
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
from tests.kernel.egress_sites import (
    Request,
    answer,
    certificate,
    drip,
    egress,
    fixed,
    redirects,
    resolver,
    serve,
)

pytestmark = pytest.mark.anyio

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
