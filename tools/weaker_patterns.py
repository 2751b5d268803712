"""Regular expressions with one part less."""

import re
from collections.abc import Iterator
from contextlib import suppress

_PART = re.compile(r"\\(?:x..|.)|\[(?:\\.|[^\]])+\]|\(\?[:=!]|[*+?]|\{\d[^}]*\}|.", re.DOTALL)


def weaker(pattern: str) -> Iterator[str]:
    """Take one part out of a regular expression: an alternative, or anything that is no letter."""
    parts = _PART.findall(pattern)
    for index, part in enumerate(parts):
        if part == "|":
            begin = index
            while begin > 0 and not _leaves(parts[begin - 1 : index][::-1], "("):
                begin -= 1
            end = index + 1
            while end < len(parts) and not _leaves(parts[index + 1 : end + 1], ")"):
                end += 1
            without_left = parts[:begin] + parts[index + 1 :]
            yield from _compiling(without_left, parts[:index] + parts[end:])
        elif not part.isalnum() and not part.startswith("(") and part != ")":
            yield from _compiling(parts[:index] + parts[index + 1 :])
            if part.startswith("[") and len(inner := _PART.findall(part[1:-1])) > 1:
                for left in range(len(inner)):
                    rest = "".join(inner[:left] + inner[left + 1 :])
                    yield from _compiling([*parts[:index], f"[{rest}]", *parts[index + 1 :]])


def _leaves(parts: list[str], bracket: str) -> bool:
    """Whether the last of the parts lies outside of the alternative that they begin in."""
    opened = sum(part.startswith("(") for part in parts)
    closed = parts.count(")")
    inner = opened - closed if bracket == ")" else closed - opened
    return inner < 0 or (inner == 0 and parts[-1] == "|")


def _compiling(*patterns: list[str]) -> Iterator[str]:
    for parts in patterns:
        with suppress(re.error):
            re.compile(pattern := "".join(parts))
            yield pattern
