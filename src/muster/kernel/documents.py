"""Texts of definitions, YAML or JSON, read safely as plain values that know where they stand.

YAML is read event by event: an alias could make a short text as large as memory is, and depth, size
and tags are looked at before anything is built of them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, cast

import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_VALUES = 50_000
_PLACED_DEPTH = 12
_LONGEST_PLAIN = 64
"""Longer scalars are texts: a number of a million digits takes minutes to read."""
_MAX_INTEGER = 2**63
_TAG = "tag:yaml.org,2002:"
_UNQUOTED = re.compile(r"[:-]\s+[{][A-Za-z_]\w*[}]\s*\S")
_HINT = " A text that begins with { or [ must be in quotation marks."
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str, ...]
"""Keys, and positions in lists: `("tasks", "0", "name")`."""
Place = tuple[int, int]
"""Line and column, from 1."""


@dataclass(slots=True)
class Document:
    """A value of plain JSON types, and where its parts stand; an empty text is None."""

    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict[Path, Place])

    def place(self, path: Path) -> Place | None:
        """Return where a part stands, or what it is in."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return self.places.get(())


class DocumentBroken(Exception):
    """A document that is not read: what is wrong with it, and where, as far as that is known."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column

    @property
    def text(self) -> str:
        """What is wrong, with the place in front."""
        return f"line {self.line}, column {self.column}: {self.message}" if self.line else str(self)


def read_document(text: str) -> Document:
    """Read YAML or JSON; raises `DocumentBroken`.

    Keys, dates and times are texts as they are written. Aliases, tags, and keys that are given
    twice are refused, and so is what JSON cannot hold or a database cannot keep.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise DocumentBroken(f"It may have {MAX_BYTES} bytes.")
    looks_json = text.lstrip()[:1] in {"{", "["}
    try:
        document = _Composer(text).read()
    except DocumentBroken:
        if looks_json and (value := _json(text)) is not None:
            require_plain(value)
            return Document(value)
        raise
    if looks_json and (value := _json(text)) is not None:
        # YAML 1.1 reads some numbers of JSON as texts.
        require_plain(value)
        document.value = value
    return document


def require_plain(value: Any, depth: int = 0) -> None:
    """Refuse what no text could say: too deep, no JSON, or no text that can be stored."""
    if depth > MAX_DEPTH:
        raise DocumentBroken(f"It is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[Any, Any]", value).items():
            if not isinstance(key, str):
                raise DocumentBroken("A key must be a text.")
            require_plain(key, depth + 1)
            require_plain(inner, depth + 1)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            require_plain(inner, depth + 1)
    elif fault := _unfit(value):
        raise DocumentBroken(fault)


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is given twice")
    return values


def _unfit(value: Any) -> str | None:
    if isinstance(value, str):
        if "\0" in value:
            return "NUL characters are not allowed."
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            return "It holds half of a character (a lone surrogate)."
        return None
    if isinstance(value, float):
        return None if isfinite(value) else "Numbers must be finite."
    if isinstance(value, int):
        return None if abs(value) < _MAX_INTEGER else "A number is too large."
    return None if value is None else "Only plain values are allowed."


def _broken(message: str, mark: Any) -> DocumentBroken:
    place = (mark.line + 1, mark.column + 1) if mark else ()
    return DocumentBroken(message, *place)


class _Composer:
    """Builds a value of the events of a YAML text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._document, self._values = Document(), 0
        self._loader: Any = None

    def read(self) -> Document:
        try:
            self._loader = _LOADER(self._text)
            self._compose()
        except yaml.MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            message = f"{error.problem or error.context or 'not readable'}."
            raise _broken(message + self._hint(mark), mark) from None
        except yaml.YAMLError as error:
            raise self._unreadable(getattr(error, "position", None)) from None
        except (ValueError, RecursionError):
            raise self._unreadable(None) from None
        finally:
            if self._loader is not None:
                self._loader.dispose()
        return self._document

    def _hint(self, mark: Any) -> str:
        lines = self._text.split("\n")
        near = lines[max(mark.line - 1, 0) : mark.line + 1] if mark else []
        return _HINT if any(_UNQUOTED.search(line) for line in near) else ""

    def _unreadable(self, position: int | None) -> DocumentBroken:
        message = "The text holds characters that YAML does not allow."
        if position is None:
            return DocumentBroken(message)
        before = self._text.encode(errors="replace")[:position].decode(errors="replace")
        return DocumentBroken(message, before.count("\n") + 1, len(before) - before.rfind("\n"))

    def _compose(self) -> None:
        self._next()  # the stream begins
        if isinstance(self._loader.peek_event(), yaml.StreamEndEvent):
            return
        self._next()  # the document begins
        self._document.value = self._node(self._next(), ())
        self._next()  # the document ends
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise _broken("There may be one document only.", event.start_mark)

    def _next(self) -> Any:
        return self._loader.get_event()

    def _node(self, event: Any, path: Path) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _broken(f"It may have {MAX_VALUES} values.", event.start_mark)
        if len(path) > MAX_DEPTH:
            raise _broken(f"It is nested more than {MAX_DEPTH} levels deep.", event.start_mark)
        self._note(path, event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.AliasEvent):
            raise _broken("Aliases (*name) are not allowed here.", event.start_mark)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        self._require_no_tag(event, "seq" if is_list else "map")
        return self._list(path) if is_list else self._mapping(path)

    def _note(self, path: Path, event: Any) -> None:
        """Keep where a part stands: where its key does, if it has one."""
        if len(path) <= _PLACED_DEPTH and path not in self._document.places:
            mark = event.start_mark
            self._document.places[path] = (mark.line + 1, mark.column + 1)

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, str(len(items)))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _broken("A key must be a plain text.", event.start_mark)
            key: str = event.value
            if fault := _unfit(key):
                raise _broken(fault, event.start_mark)
            if key in values:
                raise _broken(f"The key {key[:100]!r} is given twice.", event.start_mark)
            self._note((*path, key), event)
            values[key] = self._node(self._next(), (*path, key))
        return values

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        value: Any = text
        if event.tag is None and event.implicit[0] and len(text) <= _LONGEST_PLAIN:
            value = self._resolved(text, event)
        else:
            self._require_no_tag(event, "str")
        if fault := _unfit(value):
            raise _broken(fault, event.start_mark)
        return value

    @staticmethod
    def _require_no_tag(event: Any, kind: str) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            raise _broken(f"Tags are not allowed: {event.tag}.", event.start_mark)

    def _resolved(self, text: str, event: Any) -> Any:
        tag = self._loader.resolve(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG)
        # 12:30 is a time to everybody but YAML 1.1; dates stay as they are written.
        if tag not in {"int", "float", "bool", "null"} or ":" in text:
            return text
        node = yaml.ScalarNode(_TAG + tag, text, event.start_mark, event.end_mark)
        try:
            return self._loader.construct_object(node)
        except ValueError:
            return text  # 0x_ looks like a number and is none
