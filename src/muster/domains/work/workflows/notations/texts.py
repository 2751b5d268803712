"""Texts of definitions, YAML or JSON, read as plain values with the line of each."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import yaml

from muster.domains.work.workflows.errors import WorkflowInvalid

MOST_CHARACTERS = 500_000
DEEPEST = 60
_MOST_VALUES = 50_000
_LARGEST = 2**63

# The parser in C where there is one: ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_AS_WRITTEN = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"}
_KNOWN = _AS_WRITTEN | {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")}
_COLLECTIONS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_BAD_TEXT = "Write a mapping, as YAML or JSON."


@dataclass(slots=True)
class Text:
    """What a text says. `lines` are by path, such as `nodes.2.next`."""

    value: Any
    lines: dict[str, int] = field(default_factory=dict[str, int])


def read_text(text: str) -> Text:
    """Read YAML or JSON; raises `WorkflowInvalid` with line and column.

    Aliases are refused: with them a short text can be as large as memory is.
    """
    if len(text) > MOST_CHARACTERS:
        raise WorkflowInvalid(f"A definition may have {MOST_CHARACTERS} characters.")
    try:
        _require_modest(text)
        node = yaml.compose(text, Loader=_Loader)
        return _Reading().read(node)
    except yaml.MarkedYAMLError as error:
        raise _at(error.problem_mark, error.problem or "not readable") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WorkflowInvalid(f"The text cannot be read. {_BAD_TEXT}") from error


def _require_modest(text: str) -> None:
    """Look at size and depth before anything is built."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise _at(event.start_mark, "aliases are not allowed here")
        if number > _MOST_VALUES:
            raise _at(event.start_mark, f"a definition may have {_MOST_VALUES} values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _at(event.start_mark, f"nested more than {DEEPEST} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _at(mark: Any, what: str) -> WorkflowInvalid:
    if mark is None:
        return WorkflowInvalid(f"{what}. {_BAD_TEXT}")
    line, column = int(mark.line) + 1, int(mark.column) + 1
    return WorkflowInvalid(
        f"line {line}, column {column}: {what}.", details={"line": line, "column": column}
    )


class _Reading:
    """Builds plain values from the nodes of a text."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}
        self._constructor: Any = yaml.constructor.SafeConstructor()

    def read(self, node: Any) -> Text:
        return Text(None if node is None else self._value(node, ""), self._lines)

    def _value(self, node: Any, path: str) -> Any:
        self._lines.setdefault(path, int(node.start_mark.line) + 1)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            raise _at(node.start_mark, f"the tag {node.tag} is not allowed here")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items: list[Any] = node.value
            return [self._value(item, f"{path}.{i}".lstrip(".")) for i, item in enumerate(items)]
        return self._scalar(node)

    def _mapping(self, node: Any, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _at(key_node.start_mark, "a name must be a text")
            # As written: `yes` is the name of a case, not a truth.
            key = str(key_node.value)
            self._require_storable(key, key_node)
            if key in found:
                raise _at(key_node.start_mark, f"{key[:100]!r} is there twice")
            inner = f"{path}.{key}".lstrip(".")
            self._lines[inner] = int(key_node.start_mark.line) + 1
            found[key] = self._value(value_node, inner)
        return found

    def _scalar(self, node: Any) -> Any:
        if node.tag not in _KNOWN:
            raise _at(node.start_mark, f"the tag {node.tag} is not allowed here")
        if node.tag in _AS_WRITTEN:
            self._require_storable(node.value, node)
            return node.value
        try:
            value = self._constructor.construct_object(node)
        except (ValueError, ArithmeticError):
            raise _at(node.start_mark, "this number cannot be read") from None
        if isinstance(value, float) and not isfinite(value):
            raise _at(node.start_mark, "numbers must be finite")
        if isinstance(value, int) and abs(value) >= _LARGEST:
            raise _at(node.start_mark, "this number is too large")
        return value

    def _require_storable(self, text: str, node: Any) -> None:
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise _at(node.start_mark, "the text has characters that cannot be stored")
