"""`{placeholders}` in texts: which there are, and how they are filled."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLACEHOLDER = re.compile(rf"\{{({NAME})\}}")
_BRACES = re.compile(r"\{([^{}]*)\}")
_MEANT = re.compile(r"[^\W\d_][\w .-]{0,63}")
"""What looks as if it were meant to be filled in: JSON and sets of numbers do not."""


def placeholders_in(*texts: str | None) -> list[str]:
    """Return the names of the placeholders in texts, each once, in order."""
    found = [name for text in texts if text for name in _PLACEHOLDER.findall(text)]
    return list(dict.fromkeys(found))


def misspelled_in(text: str) -> list[str]:
    """Return what stands in braces as if it were a placeholder, and is none."""
    found = [
        name
        for name in _BRACES.findall(text)
        if _MEANT.fullmatch(name) and not re.fullmatch(NAME, name)
    ]
    return list(dict.fromkeys(found))


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Replace each placeholder that has a value; what is no text is written as JSON.

    What a value itself has in braces stays as it is.
    """

    def value(match: re.Match[str]) -> str:
        return _text(values[match[1]]) if match[1] in values else match[0]

    return _PLACEHOLDER.sub(value, text)


def filled_length(text: str, values: Mapping[str, Any]) -> int:
    """Return how long a text gets, without making it: it may repeat a long value often."""
    names = [name for name in _PLACEHOLDER.findall(text) if name in values]
    lengths = {name: len(_text(values[name])) for name in set(names)}
    return len(text) + sum(lengths[name] - len(name) - 2 for name in names)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
