"""Placeholders in a text: which there are, whether they were declared, and how they are filled."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLACEHOLDER = re.compile(rf"\{{({NAME})\}}")
_BRACES = re.compile(r"\{([^{}]*)\}")
_MEANT = re.compile(r"[^\W\d_][\w .-]{0,63}")
"""What looks as if it were meant to be filled in: JSON and sets of numbers do not."""


def placeholders_in(text: str) -> list[str]:
    """Return the names of the placeholders in a text, each once, in order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def misspelled_in(text: str) -> list[str]:
    """Return what stands in braces as if it were a placeholder, and is none."""
    found = [
        name
        for name in _BRACES.findall(text)
        if _MEANT.fullmatch(name) and not re.fullmatch(NAME, name)
    ]
    return list(dict.fromkeys(found))


def missing_in(text: str, values: Mapping[str, Any]) -> list[str]:
    """Return the placeholders of a text that have no value."""
    return [name for name in placeholders_in(text) if name not in values]


def fill(text: str, values: Mapping[str, Any], *, longest: int) -> str | None:
    """Replace each placeholder that has a value; what is no text is written as JSON.

    What a value itself has in braces stays as it is. None when the text would get longer than
    `longest`: that is counted before it is made, for a text may repeat a long value often.
    """
    names = _PLACEHOLDER.findall(text)
    texts = {name: _text(values[name]) for name in set(names) if name in values}
    growth = sum(len(texts[name]) - len(name) - 2 for name in names if name in texts)
    if len(text) + growth > longest:
        return None
    return _PLACEHOLDER.sub(lambda match: texts.get(match[1], match[0]), text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def undeclared(text: str, variables: Sequence[str]) -> list[str]:
    """Return the placeholders that were not declared."""
    return [name for name in placeholders_in(text) if name not in variables]


def unused(text: str, variables: Sequence[str]) -> list[str]:
    """Return the variables that the text does not use."""
    present = placeholders_in(text)
    return [name for name in variables if name not in present]
