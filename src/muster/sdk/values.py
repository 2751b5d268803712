"""Making any Python value one that the platform takes: plain JSON, redacted, not too long."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from enum import Enum
from math import isfinite
from typing import Any, cast

from muster.sdk.options import Redact

logger = logging.getLogger("muster.sdk")

_DEEPEST = 60
_SAFE_INTEGER = 2**53 - 1
_PREVIEW = 2000
_UNREDACTED = "[withheld: redaction failed]"


def plain(value: Any, redact: Redact | None, limit: int) -> Any:
    """Return a value as JSON can carry it.

    Args:
        value: Anything; what has no form in JSON becomes text.
        redact: Is given the value first. Where it fails, nothing of the value is told.
        limit: Most bytes; of a longer value its size and its beginning remain.
    """
    if value is None:
        return None
    if redact is not None:
        try:
            value = redact(value)
        except Exception:
            logger.exception("redact failed; the value is withheld")
            return _UNREDACTED
    made = _plain(value, _DEEPEST)
    text = dumps(made)
    if len(text) <= limit:
        return made
    preview = text[: min(_PREVIEW, limit)].decode(errors="ignore")
    return {"truncated": True, "bytes": len(text), "preview": preview}


def dumps(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def text_of(value: Any) -> str:
    """Return text without what the platform cannot store."""
    text = value if isinstance(value, str) else str(value)
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return text.encode(errors="replace").decode()
    return text


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, int | float):
        return _number(value)
    try:
        return _composed(value, depth - 1) if depth else f"[{type(value).__name__}: too deep]"
    except Exception as error:  # noqa: BLE001 - a value that cannot be told must not stop an agent
        return f"[{type(value).__name__}: {type(error).__name__}]"


def _number(value: float) -> Any:
    if isinstance(value, int):
        return int(value) if abs(value) <= _SAFE_INTEGER else str(value)
    return float(value) if isfinite(value) else str(value)


def _composed(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {text_of(name): _plain(inner, depth) for name, inner in items}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, depth) for inner in cast("list[Any]", value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: _plain(getattr(value, f.name), depth) for f in fields}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return _plain(dump(), depth)
    return _text_for(value)


def _text_for(value: Any) -> str | float:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(cast('bytes', value))} bytes]"
    return text_of(value)
