"""Reading pages and searching the web, against a real server."""

import json

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from muster.adapters.tools import web
from muster.adapters.tools.base import ToolFailed, ToolInputInvalid
from muster.kernel.egress import AddressRefused, Egress, EgressFailed, EgressPolicy
from tests.support.echo_server import EchoServer, serve

pytestmark = pytest.mark.anyio

PAGE = """<!doctype html><html><head><title> A
 page </title><style>p {color: red}</style></head><body>
<nav><a href="/home">Home</a></nav><div role="navigation">Menu</div>
<main><h1>Heading</h1><p>First <b>bold</b> <a href="/other">link</a>
<a href="javascript:alert(1)">bad</a></p><script>alert(1)</script>
<ul><li>one</li><li>two</li></ul><table><tr><th>a</th></tr><tr><td>1</td></tr></table></main>
<footer>end</footer></body></html>"""


async def test_a_page_becomes_markdown(egress: Egress, base_url: str, echo: EchoServer) -> None:
    echo.pages["a"] = (PAGE, "text/html; charset=utf-8")
    page = await web.fetch_markdown(f"{base_url}/away?to=/page/a", egress)
    assert page["url"] == f"{base_url}/page/a"
    assert page["title"] == "A page"
    assert page["truncated"] is False
    text = page["markdown"]
    assert text.startswith("# Heading\n")
    assert "**bold**" in text
    assert f"[link]({base_url}/other)" in text
    assert "- one\n- two" in text
    assert "| a |" in text
    for gone in ("alert", "Home", "Menu", "color"):
        assert gone not in text


async def test_other_texts_are_given_as_they_are(
    egress: Egress, base_url: str, echo: EchoServer
) -> None:
    echo.pages["json"] = ('{"a": 1}', "application/json")
    echo.pages["text"] = ("plain " * 10, "text/plain")
    echo.pages["bare"] = ("<p>no head</p>", "text/html")
    assert (await web.fetch_markdown(f"{base_url}/page/json", egress))["markdown"] == '{"a": 1}'
    cut = await web.fetch_markdown(f"{base_url}/page/text", egress, max_chars=5)
    assert (cut["markdown"], cut["truncated"], cut["title"]) == ("plain", True, None)
    bare = await web.fetch_markdown(f"{base_url}/page/bare", egress)
    assert (bare["markdown"], bare["title"]) == ("no head", None)


async def test_pages_that_cannot_be_read(egress: Egress, base_url: str, echo: EchoServer) -> None:
    echo.pages["pdf"] = (b"%PDF-1.7 \x00", "application/pdf")
    echo.pages["fake"] = (b"\x00\x01", "text/html")
    for name in ("pdf", "fake"):
        with pytest.raises(ToolFailed, match="Only web pages, plain text and JSON"):
            await web.fetch_markdown(f"{base_url}/page/{name}", egress)
    with pytest.raises(ToolFailed, match="status 404"):
        await web.fetch_markdown(f"{base_url}/status/404", egress)


async def test_a_page_nested_without_end_gives_its_text(
    egress: Egress, base_url: str, echo: EchoServer
) -> None:
    echo.pages["deep"] = ("<div>" * 5_000 + "core" + "</div>" * 5_000, "text/html")
    assert (await web.fetch_markdown(f"{base_url}/page/deep", egress))["markdown"] == "core"


class SearchService:
    def __init__(self) -> None:
        self.query: dict[str, str] = {}

    async def search(self, request: Request) -> JSONResponse:
        self.query = dict(request.query_params)
        results = [
            {"title": "One\n page", "url": "https://a.example/1", "content": "  a \n snippet "},
            {"title": "Twice", "url": "https://a.example/1", "content": "again"},
            {"title": None, "url": "https://a.example/2", "content": None},
            {"title": "Bad", "url": "javascript:alert(1)"},
            "odd",
            {"title": "Three", "url": "https://a.example/3", "content": "x" * 900},
        ]
        return JSONResponse({"results": results})


async def test_search_gives_clean_results(egress: Egress) -> None:
    service = SearchService()
    app = Starlette(routes=[Route("/sx/search", service.search)])
    closed = Egress(EgressPolicy())
    async with serve(app) as address:
        found = await web.search("cats & dogs", f"{address}/sx/", egress)
        assert service.query == {"q": "cats & dogs", "format": "json"}
        assert found["results"][:2] == [
            {"title": "One page", "url": "https://a.example/1", "snippet": "a snippet"},
            {"title": "https://a.example/2", "url": "https://a.example/2", "snippet": ""},
        ]
        assert [len(result["snippet"]) for result in found["results"]] == [9, 0, 500]
        assert len((await web.search("x", f"{address}/sx", egress, limit=1))["results"]) == 1

        with pytest.raises(AddressRefused):
            await web.search("x", f"{address}/sx", closed)
        trusted = await web.search("x", f"{address}/sx", closed, trusted=True)
        assert trusted["results"] == found["results"]
    with pytest.raises((EgressFailed, ToolFailed)):
        await web.search("x", f"{address}/sx", closed, trusted=True)
    await closed.aclose()


async def test_search_services_that_do_not_serve(
    egress: Egress, base_url: str, echo: EchoServer
) -> None:
    with pytest.raises(ToolInputInvalid, match="empty"):
        await web.search(" ", base_url, egress)
    # The echo has no results, and its other paths no JSON.
    with pytest.raises(ToolFailed, match="without results"):
        await web.search("x", base_url, egress)
    for status, text in ((403, "must be enabled"), (500, "status 500")):
        app = Starlette(
            routes=[Route("/search", lambda _, code=status: JSONResponse({}, status_code=code))]
        )
        async with serve(app) as address:
            with pytest.raises(ToolFailed, match=text):
                await web.search("x", address, egress)
    app = Starlette(routes=[Route("/{name}", echo.page)])
    echo.pages["search"] = ("<html>", "text/html")
    async with serve(app) as address:
        with pytest.raises(ToolFailed, match="did not answer in JSON"):
            await web.search("x", address, egress)
    echo.pages["search"] = (json.dumps([1]), "application/json")
    async with serve(app) as address:
        with pytest.raises(ToolFailed, match="without results"):
            await web.search("x", address, egress)
