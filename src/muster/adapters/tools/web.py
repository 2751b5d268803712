"""The builtin tools that read the web: one page as Markdown, and a search by SearXNG."""

import asyncio
import re
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from muster.adapters.tools.base import ToolFailed, ToolInputInvalid, ToolUnreachable
from muster.kernel.egress import Egress, EgressResponse
from muster.kernel.errors import FieldError

_MAX_PAGE_BYTES = 10 * 2**20
_MAX_LIMIT = 50
_MAX_SNIPPET = 500
_HTTP_ERROR = 400
_SERVER_ERROR = 500
_TOO_MANY = 429
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_AS_IS = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-ndjson"}
)
_NO_CONTENT = [
    "script",
    "style",
    "noscript",
    "template",
    "nav",
    "iframe",
    "svg",
    "canvas",
    "form",
    "button",
    "dialog",
    "object",
    "embed",
]
_CHROME = "[role=navigation], [role=banner], [role=contentinfo], [role=search]"


async def fetch_markdown(
    url: str, egress: Egress, *, max_chars: int = 50_000, timeout_s: float = 30.0
) -> dict[str, Any]:
    """Read a page or text file: `{url, title, markdown, truncated}`; `url` is the final address."""
    response = await egress.request(
        "GET",
        url,
        headers={"Accept": "text/html, application/xhtml+xml, text/*;q=0.9, */*;q=0.5"},
        timeout_s=timeout_s,
        max_bytes=_MAX_PAGE_BYTES,
    )
    if response.status >= _HTTP_ERROR:
        raise _refused(response.status)(f"The page answered with status {response.status}.")
    title, markdown = await _read(response)
    return {
        "url": response.url,
        "title": title,
        "markdown": markdown[:max_chars],
        "truncated": len(markdown) > max_chars,
    }


async def search(
    query: str,
    searxng_url: str,
    egress: Egress,
    *,
    limit: int = 10,
    timeout_s: float = 20.0,
    trusted: bool = False,
) -> dict[str, Any]:
    """Ask a SearXNG instance: `{results: [{title, url, snippet}]}`.

    `trusted` says that the operator set the address, so that it may lie in a private network.
    """
    if not query.strip():
        raise ToolInputInvalid(
            "The query is empty.", errors=[FieldError("query", "must not be empty")]
        )
    address = f"{searxng_url.rstrip('/')}/search"
    params = {"q": query, "format": "json"}
    if trusted:
        data = await _ask_trusted(egress, address, params, timeout_s)
    else:
        response = await egress.request("GET", address, params=params, timeout_s=timeout_s)
        data = _json(response.status, response)
    return {"results": _results(data, max(1, min(limit, _MAX_LIMIT)))}


async def _ask_trusted(
    egress: Egress, address: str, params: dict[str, str], timeout_s: float
) -> Any:
    from muster.kernel.egress import explain

    try:
        async with egress.client(
            trusted=True, total_timeout_s=timeout_s, max_bytes=_MAX_PAGE_BYTES
        ) as client:
            response = await client.get(address, params=params)
    except Exception as error:  # noqa: BLE001 - of the HTTP library, said in our words
        raise explain(error) or ToolUnreachable("The search service could not be asked.") from None
    return _json(response.status_code, response)


def _refused(status: int) -> type[ToolFailed]:
    return ToolUnreachable if status >= _SERVER_ERROR or status == _TOO_MANY else ToolFailed


def _json(status: int, response: Any) -> Any:
    if status >= _HTTP_ERROR:
        hint = " Its JSON format must be enabled." if status == 403 else ""  # noqa: PLR2004
        raise _refused(status)(f"The search service answered with status {status}.{hint}")
    import json

    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        raise ToolFailed(
            "The search service did not answer in JSON. Enable its JSON format."
        ) from None


def _results(data: Any, limit: int) -> list[dict[str, str]]:
    entries: Any = cast("dict[str, Any]", data).get("results") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise ToolFailed("The search service gave an answer without results.")
    found: dict[str, dict[str, str]] = {}
    for item in cast("list[Any]", entries):
        entry = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        url = entry.get("url")
        if isinstance(url, str) and urlsplit(url).scheme in {"http", "https"}:
            snippet = " ".join(str(entry.get("content") or "").split())
            title = " ".join(str(entry.get("title") or url).split())
            found.setdefault(url, {"title": title, "url": url, "snippet": snippet[:_MAX_SNIPPET]})
    return list(found.values())[:limit]


async def _read(response: EgressResponse) -> tuple[str | None, str]:
    kind = response.media_type or "text/plain"
    binary = b"\x00" in response.content[:8_192]
    if kind in _HTML and not binary:
        return await asyncio.to_thread(_markdown, response.content, response.url)
    if not binary and (
        kind.startswith("text/") or kind in _AS_IS or kind.endswith(("+json", "+xml"))
    ):
        return None, response.text()
    raise ToolFailed(
        f"The address leads to a file of type {kind}. Only web pages, plain text and JSON are read."
    )


def _markdown(content: bytes, url: str) -> tuple[str | None, str]:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    # From bytes: the parser knows the character set that the page declares.
    page = BeautifulSoup(content, "html.parser")
    title = " ".join(page.title.get_text().split()) if page.title else None
    for element in page.find_all(_NO_CONTENT):
        element.decompose()
    for element in page.select(_CHROME):
        element.decompose()
    for link in page.find_all("a", href=True):
        target = urljoin(url, str(link["href"]))
        link["href"] = target if urlsplit(target).scheme in {"http", "https", "mailto"} else ""
    body = page.find("main") or page.find("article") or page.body or page
    converter: Any = MarkdownConverter(heading_style="ATX", strip=["img"], bullets="-")
    try:
        text = str(converter.convert_soup(body))
    except RecursionError:
        # Nested thousands deep: no document, but its text may still be of use.
        text = body.get_text("\n")
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return title or None, re.sub(r"\n{3,}", "\n\n", lines).strip()
