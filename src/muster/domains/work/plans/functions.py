"""The functions and operators of expressions: none takes long, whatever it is given."""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
import simpleeval  # pyright: ignore[reportMissingTypeStubs]

_LONGEST_RANGE = 1_000
_LONGEST_TEXT = 10_000_000
_LONGEST_REPEATED = 100_000
_MOST_BITS = 1_000


def text(value: Any) -> str:
    """Return a value as text: what is none is written as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def size(value: Any, most: int) -> int:
    """Return about how many values a value consists of; counting ends beyond `most`."""
    total, left = 0, [value]
    while left and total <= most:
        one = left.pop()
        total += 1
        if isinstance(one, str):
            total += len(one) // 100
        elif isinstance(one, Mapping):
            whole = cast("Mapping[Any, Any]", one)
            total += len(whole)
            left.extend(whole.values())
        elif isinstance(one, list | tuple):
            parts = cast("Sequence[Any]", one)
            total += len(parts)
            left.extend(parts)
    return total


def plain(value: Any) -> Any:
    """Return a value as JSON can carry it; raises `ValueError` when it cannot."""
    match value:
        case None | bool():
            return value
        case str():
            value.encode()  # half of a surrogate pair is no text
            return value
        case int() if value.bit_length() <= _MOST_BITS:
            return value
        case float() if abs(value) != float("inf") and value == value:  # noqa: PLR0124 - no NaN
            return value
        case list() | tuple():
            return [plain(one) for one in cast("Sequence[Any]", value)]
        case Mapping():
            whole = cast("Mapping[Any, Any]", value)
            return {text(key): plain(one) for key, one in whole.items()}
        case _:
            raise ValueError(type(value).__name__)


def _contains(whole: Any, part: Any) -> bool:
    return part in whole


def _number(value: Any) -> float:
    return float(value)


def _lower(value: Any) -> str:
    return text(value).lower()


def _upper(value: Any) -> str:
    return text(value).upper()


def _trim(value: Any) -> str:
    return text(value).strip()


def _split(value: Any, by: str | None = None) -> list[str]:
    return text(value).split(by)


def _lines(value: Any) -> list[str]:
    return [line for line in text(value).splitlines() if line.strip()]


def _join(values: Sequence[Any], by: str = ", ") -> str:
    parts = [text(value) for value in values]
    if sum(map(len, parts)) + len(by) * len(parts) > _LONGEST_TEXT:
        raise ValueError("too long")
    return by.join(parts)


def _json(value: Any) -> Any:
    return msgspec.json.decode(str(value).encode())


def _sum(values: Sequence[Any]) -> Any:
    return sum(values)


def _range(count: Any) -> list[int]:
    return list(range(min(int(count), _LONGEST_RANGE)))


def _default(value: Any, other: Any) -> Any:
    return other if value in (None, "") else value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "lower": _lower,
    "upper": _upper,
    "trim": _trim,
    "split": _split,
    "lines": _lines,
    "join": _join,
    "contains": _contains,
    "number": _number,
    "text": text,
    "json": _json,
    "min": min,
    "max": max,
    "sum": _sum,
    "sorted": sorted,
    "range": _range,
    "default": _default,
}


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int)
    # Looked at first: a million digits take seconds.
    if whole and base.bit_length() * abs(exponent) > _MOST_BITS * 10:
        raise OverflowError
    return base**exponent


def _times(left: Any, right: Any) -> Any:
    for value, count in ((left, right), (right, left)):
        if isinstance(value, str) and isinstance(count, int):
            if len(value) * count > _LONGEST_REPEATED:
                raise OverflowError
        elif not isinstance(value, int | float):
            # Lists of lists of lists: few characters that stand for more than memory holds.
            raise TypeError("numbers only")
    return left * right


def _remainder(left: Any, right: Any) -> Any:
    if isinstance(left, str):
        raise TypeError("it is not for formatting")
    return left % right


OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    **cast("dict[Any, Any]", simpleeval.DEFAULT_OPERATORS),  # pyright: ignore[reportUnknownMemberType]
    ast.Pow: _power,
    ast.Mult: _times,
    ast.Mod: _remainder,
}
