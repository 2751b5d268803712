"""Hash chains: each record's hash covers all its fields and the hash before it.

SHA-256 over RFC 8785 canonical JSON, so that anyone can recompute it from an export with nothing
but the two standards.
"""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec
import rfc8785

GENESIS = "0" * 64
"""The previous hash of the first record of a chain."""

_MAX_SAFE_INTEGER = 2**53 - 1
_LEAST_PLAIN = 1e-5
_SORTING = msgspec.json.Encoder(order="deterministic")


class _Unusual(Exception):
    """A value that the fast encoder may write in another way than RFC 8785 says."""


def canonical(value: Any) -> bytes:
    """Return RFC 8785 canonical JSON.

    Integers beyond 2**53 - 1, which I-JSON cannot carry, become their decimal text; those that are
    the shortest notation of a double stay that number, as PostgreSQL gives large doubles back so.
    """
    try:
        # Ten times as fast, and the same to the letter for nearly everything that is written.
        return _SORTING.encode(_usual(value))
    except (_Unusual, TypeError, UnicodeEncodeError):
        pass
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        return rfc8785.dumps(_safe(value))


def _usual(value: Any) -> Any:
    """Return what the fast encoder writes as RFC 8785 says; raises `_Unusual` for anything else."""
    kind: Any = value.__class__
    if kind is str or kind is bool or value is None:
        return value
    if kind is dict:
        # The order of names is that of UTF-16, which is that of UTF-8 only among most of them.
        if not "".join(value).isascii():
            raise _Unusual
        return {k: v if type(v) is str else _usual(v) for k, v in value.items()}
    if kind is int and -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER:
        return value
    if kind is list or kind is tuple:
        return [v if type(v) is str else _usual(v) for v in value]
    if kind is float:
        if value.is_integer() and abs(value) <= _MAX_SAFE_INTEGER:
            return int(value)
        if _LEAST_PLAIN <= abs(value) <= _MAX_SAFE_INTEGER:
            return value
    raise _Unusual


def _safe(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) > _MAX_SAFE_INTEGER:
        return _number_or_text(value)
    if isinstance(value, dict):
        return {key: _safe(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_safe(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _number_or_text(value: int) -> float | str:
    try:
        double = float(value)
    except OverflowError:
        return str(value)
    return double if Decimal(repr(double)) == value else str(value)


def chain_hash(previous: str, fields: Mapping[str, Any]) -> str:
    """Return the hash of a record: 64 hexadecimal digits.

    Args:
        previous: Hash of the record before, or `GENESIS`.
        fields: Every field of the record that is to be protected.
    """
    return sha256(canonical({**fields, "previous_hash": previous})).hexdigest()
