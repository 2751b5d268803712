"""Notations of workflows: how each is told from the others, read and written."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from muster.domains.work.plans import WorkflowSpec
from muster.domains.work.workflows.errors import WorkflowInvalid, WorkflowNotExpressible
from muster.domains.work.workflows.notations.actions import (
    read_actions,
    require_ends,
    write_actions,
)
from muster.domains.work.workflows.notations.chaining import as_flow
from muster.domains.work.workflows.notations.document import (
    is_document,
    read_document,
    write_document,
)
from muster.domains.work.workflows.notations.native import read_native, write_native
from muster.domains.work.workflows.notations.reading import NOTATIONS, Notation, Read
from muster.domains.work.workflows.notations.steps import (
    ALIASES,
    read_steps,
    shown_steps,
    step_name,
    write_steps,
)
from muster.domains.work.workflows.notations.texts import read_text

__all__ = [
    "ALIASES",
    "NOTATIONS",
    "Notation",
    "Read",
    "read_workflow",
    "readable",
    "shown_steps",
    "step_name",
    "unwrapped",
    "write_workflow",
]

_WRAPPERS = ("workflow", "workflow_definition", "definition")
_MOST_BYTES = 1_000_000
_PARTS = ("nodes", "steps", "actions")
_READERS: dict[Notation, Callable[[dict[str, Any], Mapping[str, int]], Read]] = {
    "document": read_document,
    "steps": read_steps,
    "actions": read_actions,
    "native": read_native,
}
_WRITERS: dict[Notation, Callable[[WorkflowSpec], dict[str, Any]]] = {
    "document": write_document,
    "steps": write_steps,
    "actions": write_actions,
    "native": write_native,
}


def read_workflow(
    value: str | Mapping[str, Any] | list[Any], notation: Notation | None = None
) -> Read:
    """Read a workflow in any notation; raises `WorkflowInvalid` with what is wrong, and where.

    Args:
        value: YAML or JSON text, or what one says.
        notation: The notation, where it is known; else it is told by what is there.
    """
    lines: Mapping[str, int] = {}
    given: Any = value
    if isinstance(value, str):
        text = read_text(value)
        given, lines = text.value, text.lines
    given, lines = unwrapped(given, lines)
    if isinstance(given, str) and lines:
        raise WorkflowInvalid("The text is no workflow; it needs `nodes`, `steps` or `actions`.")
    if isinstance(given, str):
        return read_workflow(given, notation)
    if isinstance(given, list):
        part = "steps" if _are_steps(cast("list[Any]", given)) else "nodes"
        given = cast("Any", {part: given})
        lines = {f"{part}.{path}" if path else part: line for path, line in lines.items()}
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise WorkflowInvalid("A workflow is a mapping with `nodes`, `steps` or `actions`.")
    document = {str(k): v for k, v in cast("Mapping[Any, Any]", given).items()}
    if len(msgspec.json.encode(document)) > _MOST_BYTES:
        raise WorkflowInvalid(f"A definition may have {_MOST_BYTES} bytes.")
    return _READERS[notation or _notation_of(document)](document, lines)


def readable(value: Any) -> Any:
    """Return what a text says, or what is given, to be drawn; only a text can be unreadable."""
    if isinstance(value, str):
        value = read_text(value).value
        if isinstance(value, str | int | float):
            raise WorkflowInvalid(
                "The text is no workflow; it needs `nodes`, `steps` or `actions`."
            )
    inner, _ = unwrapped(value, {})
    return readable(inner) if isinstance(inner, str) and inner is not value else inner


def write_workflow(spec: WorkflowSpec, notation: Notation) -> dict[str, Any]:
    """Write a workflow in a notation; raises `WorkflowNotExpressible`, which names the node."""
    written = _WRITERS[notation](spec)
    if notation in {"document", "actions"}:
        _require_same(as_flow(spec), _READERS[notation](written, {}).spec, notation)
    if notation == "actions":
        require_ends(written["actions"])
    return written


def _require_same(flow: WorkflowSpec, read: WorkflowSpec, notation: Notation) -> None:
    """Refuse to leave anything out: what was written is read again, and has to be the same."""
    again = {node.name: node for node in read.nodes}
    for node in flow.nodes:
        other = again.get(node.name)
        fields = {"start": (), "end": ("inputs",)}.get(node.type, type(node).model_fields)
        if node.type == "end" and other is None and not node.inputs:
            continue  # its name says nothing
        for name in fields:
            if name != "next" and getattr(node, name) != getattr(other, name, None):
                raise WorkflowNotExpressible(
                    f"The node {node.name!r} cannot be written in the notation {notation}, which "
                    f"has no words for its `{name}`; use the notation native.",
                    details={"node": node.name},
                )
    for name in ("model", "inputs", "templates", "result"):
        if getattr(flow, name) != getattr(read, name):
            raise WorkflowNotExpressible(
                f"The notation {notation} has no words for the `{name}` of this workflow; use the "
                "notation native.",
                details={"node": None},
            )


def unwrapped(given: Any, lines: Mapping[str, int]) -> tuple[Any, Mapping[str, int]]:
    """Take `{"workflow": ...}` off what is in it; what has nodes of its own stays as it is."""
    if not isinstance(given, Mapping):
        return given, lines
    wrapping = cast("Mapping[Any, Any]", given)
    if any(part in wrapping for part in _PARTS):
        return wrapping, lines
    for name in _WRAPPERS:
        inner: Any = wrapping.get(name)
        if isinstance(inner, Mapping | list) or (isinstance(inner, str) and not lines):
            prefix = f"{name}."
            moved = {
                path.removeprefix(prefix): line
                for path, line in lines.items()
                if path.startswith(prefix)
            }
            return cast("Any", inner), moved
    return wrapping, lines


def _notation_of(document: Mapping[str, Any]) -> Notation:
    if "nodes" in document:
        return "document" if is_document(document) else "native"
    if "actions" in document:
        return "actions"
    if "steps" in document or "mode" not in document:
        return "document" if is_document(document) else "steps"
    return "native"


def _are_steps(items: list[Any]) -> bool:
    return any(
        isinstance(item, Mapping) and {"step_type", "order"} & set(cast("Mapping[str, Any]", item))
        for item in items
    )
