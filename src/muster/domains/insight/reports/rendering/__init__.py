"""Rendering a report's document as a file."""

import asyncio
from collections.abc import Callable, Mapping

from muster.domains.insight.reports.document import Document
from muster.domains.insight.reports.rendering.json import render_json
from muster.domains.insight.reports.rendering.pdf import render_pdf
from muster.domains.insight.reports.rendering.xml import render_xml

MEDIA_TYPES = {"pdf": "application/pdf", "xml": "application/xml", "json": "application/json"}

_RENDERERS: Mapping[str, Callable[[Document], bytes]] = {
    "pdf": render_pdf,
    "xml": render_xml,
    "json": render_json,
}


async def render(document: Document, format: str) -> bytes:
    """Return the file; made in a thread, since a long PDF takes seconds."""
    return await asyncio.to_thread(_RENDERERS[format], document)
