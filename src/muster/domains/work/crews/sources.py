"""From text or objects to plain values that know where they stand: YAML and JSON, safely.

YAML is read event by event: an alias could make a short text as large as memory is, and depth, size
and tags are looked at before anything is built of them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, cast

import msgspec
import yaml

from muster.domains.work.crews.faults import Fault

Source = str | Mapping[str, Any] | list[Any] | None
Path = tuple[str, ...]
Place = tuple[int, int]

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
_PLACED_DEPTH = 5
_LONGEST_PLAIN = 64
"""Longer scalars are texts: a number of a million digits takes minutes to read."""
_MAX_INTEGER = 2**63
_TAG = "tag:yaml.org,2002:"
_UNQUOTED = re.compile(r"[:-]\s+[{][A-Za-z_]\w*[}]\s*\S")
_HINT = " A text that begins with { or [ must be in quotation marks."
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Read:
    """A value of plain JSON types, and where its parts stand."""

    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict[Path, Place])

    def place(self, path: Path) -> Place | None:
        """Return where a part stands, or what it is in."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return self.places.get(())


class SourceBroken(Exception):
    """A source cannot be read at all."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


def read_source(name: str, source: Source) -> Read:
    """Read YAML text, JSON text or an object; raises `SourceBroken` with the place.

    Args:
        name: The field that it came in, for the fault.
        source: What was sent.
    """
    if source is None:
        return Read()
    if not isinstance(source, str):
        return _read_object(name, source)
    if len(source) > MAX_BYTES or len(source.encode(errors="replace")) > MAX_BYTES:
        raise _broken(name, f"It may have {MAX_BYTES} bytes.")
    looks_json = source.lstrip()[:1] in {"{", "["}
    try:
        read = _Composer(name, source).read()
    except SourceBroken:
        if looks_json and (value := _json(source)) is not None:
            return _read_object(name, value)
        raise
    if looks_json and (value := _json(source)) is not None:
        # YAML 1.1 reads some numbers of JSON as texts.
        _require_plain(name, value)
        read.value = value
    return read


def _read_object(name: str, source: Any) -> Read:
    _require_plain(name, source)
    try:
        size = len(msgspec.json.encode(source))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
        raise _broken(name, "It holds something that is no JSON.") from None
    if size > MAX_BYTES:
        raise _broken(name, f"It may have {MAX_BYTES} bytes.")
    return Read(source)


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


def _require_plain(name: str, value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise _broken(name, f"It is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[Any, Any]", value).items():
            if not isinstance(key, str):
                raise _broken(name, "A key must be a text.")
            _require_plain(name, key, depth + 1)
            _require_plain(name, inner, depth + 1)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            _require_plain(name, inner, depth + 1)
    elif fault := _unfit(value):
        raise _broken(name, fault)


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


def _broken(name: str, message: str, mark: Any = None) -> SourceBroken:
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return SourceBroken(Fault(field=name, message=message, line=line, column=column))


class _Composer:
    """Builds a value of the events of a YAML text."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._read = Read()
        self._loader: Any = None

    def read(self) -> Read:
        try:
            self._loader = _LOADER(self._text)
            self._document()
        except yaml.MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            message = f"{error.problem or error.context or 'not readable'}."
            raise _broken(self._name, message + self._hint(mark), mark) from None
        except yaml.YAMLError as error:
            position = getattr(error, "position", None)
            raise self._unreadable(position) from None
        except (ValueError, RecursionError):
            raise self._unreadable(None) from None
        finally:
            if self._loader is not None:
                self._loader.dispose()
        return self._read

    def _hint(self, mark: Any) -> str:
        lines = self._text.split("\n")
        near = lines[max(mark.line - 1, 0) : mark.line + 1] if mark else []
        return _HINT if any(_UNQUOTED.search(line) for line in near) else ""

    def _unreadable(self, position: int | None) -> SourceBroken:
        message = "The text holds characters that YAML does not allow."
        if position is None:
            return _broken(self._name, message)
        before = self._text.encode(errors="replace")[:position].decode(errors="replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return SourceBroken(Fault(field=self._name, message=message, line=line, column=column))

    def _document(self) -> None:
        self._next()  # the stream begins
        if isinstance(self._loader.peek_event(), yaml.StreamEndEvent):
            return
        self._next()  # the document begins
        self._read.value = self._node(self._next(), ())
        self._next()  # the document ends
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise _broken(self._name, "There may be one document only.", event.start_mark)

    def _next(self) -> Any:
        return self._loader.get_event()

    def _node(self, event: Any, path: Path) -> Any:
        if len(path) <= _PLACED_DEPTH:
            mark = event.start_mark
            self._read.places.setdefault(path, (mark.line + 1, mark.column + 1))
        if len(path) > MAX_DEPTH:
            text = f"It is nested more than {MAX_DEPTH} levels deep."
            raise _broken(self._name, text, event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        raise _broken(self._name, "Aliases (*name) are not allowed here.", event.start_mark)

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, str(len(items)))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _broken(self._name, "A key must be a plain text.", event.start_mark)
            key: str = event.value
            if fault := _unfit(key):
                raise _broken(self._name, fault, event.start_mark)
            if key in values:
                text = f"The key {key[:100]!r} is given twice."
                raise _broken(self._name, text, event.start_mark)
            inner = (*path, key)
            if len(inner) <= _PLACED_DEPTH:
                mark: Any = event.start_mark
                self._read.places[inner] = (mark.line + 1, mark.column + 1)
            values[key] = self._node(self._next(), inner)
        return values

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        value: Any = text
        if event.tag is None and event.implicit[0] and len(text) <= _LONGEST_PLAIN:
            value = self._resolved(text, event)
        elif event.tag not in (None, "!", f"{_TAG}str"):
            raise _broken(self._name, f"Tags are not allowed: {event.tag}.", event.start_mark)
        if fault := _unfit(value):
            raise _broken(self._name, fault, event.start_mark)
        return value

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
