"""What the readers of all notations share: what they return, and how plain values become nodes."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydantic import ValidationError

from muster.domains.work.plans import NodeSpec, WorkflowSpec
from muster.domains.work.workflows.errors import WorkflowInvalid
from muster.kernel.errors import FieldError

Notation = Literal["document", "steps", "actions", "native"]
NOTATIONS: tuple[Notation, ...] = ("document", "steps", "actions", "native")

_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PATH = re.compile(r"[A-Za-z_][\w]*(\.[A-Za-z_]\w*|\[\d+\])*")
_SHOWN = 20
_MODELS = ("model", "llm_model", "default_model_ref")
"""What notations call the model of a workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A workflow as it was read.

    Args:
        spec: What is executed.
        notation: What it was written in.
        lines: Lines of the text by path, such as `nodes.2.next`; empty where it was no text.
        document: What was written, as plain values.
        places: For each node of the spec the path of what it was made of; None: of nothing.
        spellings: How the notation spells fields of a node, where it has words of its own; the
            first is meant where none of them was written.
    """

    spec: WorkflowSpec
    notation: Notation
    document: dict[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict[str, int])
    places: Sequence[str | None] = ()
    spellings: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    def locate(self, path: str) -> tuple[str, int | None]:
        """Return where a path of the spec is in what was written, and its line."""
        match re.split(r"\.", path, maxsplit=2):
            case ["nodes", number, *rest] if number.isdigit() and int(number) < len(self.places):
                place = self.places[int(number)]
                if place is None:
                    return path, None
                first, dot, more = (rest[0] if rest else "").partition(".")
                spelled = [*self.spellings.get(first, ()), first]
                written = (word for word in spelled if self._has(f"{place}.{word}"))
                path = f"{place}.{next(written, spelled[0])}{dot}{more}".rstrip(".")
            case ["model"]:
                path = next((word for word in _MODELS if self.document.get(word)), path)
            case _:
                pass
        return path, self.line_of(path)

    def _has(self, path: str) -> bool:
        value: Any = self.document
        for part in path.split("."):
            if isinstance(value, list) and part.isdigit():
                items = cast("list[Any]", value)
                value = items[int(part)] if int(part) < len(items) else None
            else:
                value = cast("Any", value).get(part) if isinstance(value, Mapping) else None
        return value is not None

    def line_of(self, path: str) -> int | None:
        """Return the line of a path of what was written, or of what it is part of."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return self.lines.get("")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is in what is read, to say so when it is wrong."""

    path: str
    lines: Mapping[str, int]

    def at(self, inner: str | int) -> "Place":
        return Place(f"{self.path}.{inner}".lstrip("."), self.lines)

    def wrong(self, what: str) -> WorkflowInvalid:
        line = self.lines.get(self.path)
        where = f" (line {line})" if line else ""
        details = {"path": self.path, "line": line}
        shown = self.path or "definition"
        return WorkflowInvalid(
            f"{shown}: {what}{where}.", errors=[FieldError(shown, what)], details=details
        )

    def mapping(self, value: Any) -> dict[str, Any]:
        """Return a mapping; absent is empty."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.wrong("must be a mapping of names to values")
        return {str(k): v for k, v in cast("Mapping[Any, Any]", value).items()}

    def sequence(self, value: Any) -> list[Any]:
        """Return a list; absent is empty."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong("must be a list")
        return cast("list[Any]", value)

    def word(self, value: Any, default: str = "") -> str:
        """Return a text, or a number as one; absent is the default."""
        word = text_of(value)
        if not isinstance(word, str | None):
            raise self.wrong("must be a text")
        return word or default

    def texts(self, value: Any) -> list[str]:
        """Return a list of texts; a single one is a list of it."""
        values: list[Any] = [value] if isinstance(value, str | int) else self.sequence(value)
        for index, item in enumerate(values):
            if not isinstance(item, str | int | float):
                raise self.at(index).wrong("must be a text")
        return [str(item) for item in values]


def text_of(value: Any) -> Any:
    """Return numbers as text, and everything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def expression_of(value: Any) -> Any:
    """Return a condition as an expression, where it was written as a template too."""
    value = text_of(value)
    if not isinstance(value, str):
        return value
    if "}}" not in value:
        return value
    whole = value.strip()
    if whole.startswith("{{") and whole.find("}}") == len(whole) - 2:
        return whole[2:-2].strip()
    # Behind the last end nothing is a template; to look for one there takes quadratic time.
    end = value.rfind("}}") + 2
    return _TEMPLATE.sub(lambda match: f"({match[1].strip()})", value[:end]) + value[end:]


def variable_template(name: Any) -> Any:
    """Return the template that a variable, or a path into one, fills."""
    if isinstance(name, str) and _PATH.fullmatch(name.strip()):
        return "{{ " + name.strip() + " }}"
    return name


def literal(value: Any) -> Any:
    """Return a value such that its templates are texts like others."""
    if isinstance(value, str) and "{{" in value:
        return "{{ " + json.dumps(value).replace("{", "\\u007b").replace("}", "\\u007d") + " }}"
    if isinstance(value, Mapping):
        return {key: literal(one) for key, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [literal(one) for one in cast("list[Any]", value)]
    return value


def without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what is absent."""
    return {name: value for name, value in values.items() if value is not None}


def make_spec(
    values: Mapping[str, Any],
    nodes: Iterable[tuple[dict[str, Any], str | None]],
    *,
    notation: Notation,
    document: dict[str, Any],
    lines: Mapping[str, int],
    spellings: Mapping[str, Sequence[str]],
) -> Read:
    """Put a workflow together; raises `WorkflowInvalid` with what is wrong, and where."""
    listed = list(nodes)
    read = Read(
        spec=WorkflowSpec(),
        notation=notation,
        document=document,
        lines=lines,
        places=tuple(place for _, place in listed),
        spellings=spellings,
    )
    given = {**without_nothing(values), "nodes": [node for node, _ in listed]}
    try:
        spec = WorkflowSpec.model_validate(given)
    except ValidationError as error:
        raise _invalid(error, read) from error
    return Read(
        spec=spec,
        notation=notation,
        document=document,
        lines=lines,
        places=read.places,
        spellings=spellings,
    )


def _invalid(error: ValidationError, read: Read) -> WorkflowInvalid:
    found: list[FieldError] = []
    texts: list[str] = []
    first_line: int | None = None
    for item in error.errors()[:_SHOWN]:
        path, line = read.locate(".".join(_readable(item["loc"])))
        found.append(FieldError(path, item["msg"]))
        texts.append(f"{path}: {item['msg']}" + (f" (line {line})" if line else ""))
        first_line = first_line or line
    details = {"path": found[0].field if found else None, "line": first_line}
    return WorkflowInvalid("; ".join(texts[:5]), errors=found, details=details)


def _readable(location: Iterable[str | int]) -> Iterable[str]:
    """Leave out which alternative of a type did not fit."""
    return (str(part) for part in location if not str(part).startswith(("literal[", "constrained")))


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """Return a name that no node has."""
    names = set(taken)
    name, number = wanted, 1
    while name in names:
        number += 1
        name = f"{wanted}_{number}"
    return name


def dumped(node: NodeSpec) -> dict[str, Any]:
    """Return what of a node is not as it is by default."""
    return node.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
