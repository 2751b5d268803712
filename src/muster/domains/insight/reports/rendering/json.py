"""A report as JSON."""

import msgspec

from muster.domains.insight.reports.document import Document, plain


def render_json(document: Document) -> bytes:
    """Return the document as indented JSON; text is as it was recorded."""
    return msgspec.json.format(msgspec.json.encode(plain(document)), indent=2) + b"\n"
