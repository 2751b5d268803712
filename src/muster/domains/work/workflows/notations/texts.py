"""Texts of workflows, YAML or JSON, as plain values with the line of each."""

from dataclasses import dataclass
from typing import Any

from muster.domains.work.workflows.errors import WorkflowInvalid
from muster.kernel.documents import DocumentBroken, read_document


@dataclass(frozen=True, slots=True)
class Text:
    """What a text says. `lines` are by path, such as `nodes.2.next`."""

    value: Any
    lines: dict[str, int]


def read_text(text: str) -> Text:
    """Read YAML or JSON; raises `WorkflowInvalid` with line and column."""
    try:
        document = read_document(text)
    except DocumentBroken as error:
        details = {"line": error.line, "column": error.column} if error.line else {}
        raise WorkflowInvalid(error.text, details=details) from None
    lines = {".".join(path): line for path, (line, _) in document.places.items()}
    return Text(document.value, lines)
