"""Patterns of event names: exact, or with `*` for any text, such as `agent.*`."""

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute

from muster.platform.events.notations import documented_name

MAX_PATTERNS = 100
MAX_PATTERN = 80
_WELL_FORMED = re.compile(r"[a-z0-9_*]+(?:\.[a-z0-9_*]+)*")


def is_pattern(text: str) -> bool:
    """Tell whether a text can be a pattern."""
    return len(text) <= MAX_PATTERN and _WELL_FORMED.fullmatch(text) is not None


def split_patterns(text: str) -> list[str]:
    """Return the patterns of a list separated by commas; a ValueError says what is wrong."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or len(parts) > MAX_PATTERNS:
        raise ValueError(f"name 1 to {MAX_PATTERNS} types, separated by commas")
    for part in parts:
        if not is_pattern(part):
            raise ValueError(
                "a type is lower-case words with dots between, such as run.failed or agent.*"
            )
    return parts


class Patterns:
    """Which events somebody wants, and under which name each of them goes out."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.texts = frozenset(patterns)
        self._exact = frozenset(text for text in self.texts if "*" not in text)
        self._wild = [
            re.compile(".*".join(map(re.escape, text.split("*"))))
            for text in sorted(self.texts - self._exact)
        ]

    def name_for(self, type: str) -> str | None:
        """Return the name under which an event is wanted, or None.

        A name that was asked for literally goes before a wildcard, and the event's own name before
        its documented one, so that each event goes out once.
        """
        other = documented_name(type)
        if type in self._exact:
            return type
        if other in self._exact:
            return other
        if self._matches(type):
            return type
        return other if other and self._matches(other) else None

    def _matches(self, name: str) -> bool:
        return any(pattern.fullmatch(name) for pattern in self._wild)


def matching(column: InstrumentedAttribute[Any], patterns: Iterable[str]) -> ColumnElement[bool]:
    """Return the SQL condition that a column matches one of the patterns."""
    texts = set(patterns)
    exact = {text for text in texts if "*" not in text}
    conditions = [column.in_(exact)] if exact else []
    for text in sorted(texts - exact):
        like = text.replace("_", "\\_").replace("*", "%")
        conditions.append(column.like(like, escape="\\"))
    return or_(*conditions)
