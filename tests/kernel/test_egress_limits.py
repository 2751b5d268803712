"""Limits of the guarded client: size, compression, time, broken answers."""

import asyncio
import gzip
import zlib

import anyio
import httpx2
import pytest

from muster.kernel.egress import (
    EgressFailed,
    EgressTimeout,
    ResponseTooLarge,
    explain,
)
from tests.kernel.egress_sites import (
    MEBIBYTE,
    Request,
    answer,
    drip,
    egress,
    fixed,
    serve,
)

pytestmark = pytest.mark.anyio

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
