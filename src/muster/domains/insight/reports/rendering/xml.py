"""A report as XML: elements are named as the fields of the document, items of a list in singular.

What is not known has no text and `nil="true"`.
"""

from typing import Any, cast
from xml.etree import ElementTree as ET

from muster.domains.insight.reports.document import Document, plain
from muster.domains.insight.reports.rendering.text import Cleaner

NAMESPACE = "urn:muster:report:1"

_ITEMS = {
    "rows": "row",
    "days": "day",
    "moves": "move",
    "items": "item",
    "policies": "policy",
    "frameworks": "framework",
    "notes": "note",
    "invalid": "run",
    "only_agents": "agent",
}


def render_xml(document: Document) -> bytes:
    """Return the document as UTF-8 XML."""
    cleaner = Cleaner.for_xml()
    content = cleaner.all(plain(document))
    if cleaner.note:
        content["notes"].append(cleaner.note)
    root = ET.Element("report", {"xmlns": NAMESPACE, "version": content["cover"]["format_version"]})
    for name, value in content.items():
        _add(root, name, value)
    ET.indent(root)
    return cast("bytes", ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add(parent: ET.Element, name: str, value: Any) -> None:
    element = ET.SubElement(parent, name.replace("_", "-"))
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            _add(element, key, inner)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            _add(element, _ITEMS.get(name, "count"), item)
    elif value is None:
        element.set("nil", "true")
    elif isinstance(value, bool):
        element.text = "true" if value else "false"
    else:
        element.text = str(value)
