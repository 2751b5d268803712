"""What `agents_yaml` and `tasks_yaml` say, given as a text or as objects."""

from collections.abc import Mapping
from typing import Any

import msgspec

from muster.domains.work.crews.faults import Fault
from muster.kernel.documents import (
    MAX_BYTES,
    Document,
    DocumentBroken,
    read_document,
    require_plain,
)

Source = str | Mapping[str, Any] | list[Any] | None


class SourceBroken(Exception):
    """A source cannot be read at all."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


def read_source(name: str, source: Source) -> Document:
    """Read YAML text, JSON text or an object; raises `SourceBroken` with the place.

    Args:
        name: The field that it came in, for the fault.
        source: What was sent.
    """
    try:
        if source is None:
            return Document()
        return read_document(source) if isinstance(source, str) else _read_object(source)
    except DocumentBroken as error:
        fault = Fault(field=name, message=error.message, line=error.line, column=error.column)
        raise SourceBroken(fault) from None


def _read_object(source: Any) -> Document:
    require_plain(source)
    try:
        size = len(msgspec.json.encode(source))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
        raise DocumentBroken("It holds something that is no JSON.") from None
    if size > MAX_BYTES:
        raise DocumentBroken(f"It may have {MAX_BYTES} bytes.")
    return Document(source)
