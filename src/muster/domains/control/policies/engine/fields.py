"""How rules read fields: of a step, of an agent's profile, and inside properties."""

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from muster.domains.control.policies.engine.errors import Unjudgeable
from muster.domains.control.policies.engine.vocabulary import NormalStep

MISSING = object()


def inside(container: Any, path: str) -> Any:
    """Read `path` in `container`: as one key if it is there, else dot by dot; or `MISSING`."""
    while isinstance(container, Mapping):
        fields = cast("Mapping[str, Any]", container)
        if path in fields:
            return fields[path]
        head, _, path = path.partition(".")
        if head not in fields:
            return MISSING
        container = fields[head]
    return MISSING


def of_profile(profile: Mapping[str, Any], path: str) -> Any:
    """Read a field of an agent's profile, a dotted one first inside its `properties`."""
    if path in profile or "." not in path:
        return profile.get(path, MISSING)
    found = inside(profile.get("properties"), path)
    return inside(profile, path) if found is MISSING else found


def of_step(step: NormalStep, path: str) -> Any:
    """Read a field of a step.

    The step's own fields come first; a dotted name is read inside `properties`, and only what
    is not there among the keys of the input, so that no argument hides a property. A dotted name
    that is nowhere yet is followed from `properties.`, `input.`, `output.` or `meta.` on.
    """
    own = _OWN.get(path)
    if own is not None:
        return getattr(step, own)
    head, dot, rest = path.partition(".")
    found = inside(step.properties, path) if dot else MISSING
    arguments = step.input
    if found is MISSING and isinstance(arguments, Mapping):
        found = cast("Mapping[str, Any]", arguments).get(path, MISSING)
    if found is MISSING and head in _PARTS:
        return inside(getattr(step, head), rest)
    return found


def same(left: Any, right: Any) -> bool:
    """Equality in which true is not 1, and a missing value equals nothing."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def number(value: Any) -> float | None:
    """Return the finite number that `value` is, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def text(value: Any) -> str:
    """Return what a pattern is matched against: nothing for a missing or empty value."""
    return "" if value is MISSING or not value else str(value)


def text_of_values(value: Any) -> str:
    """Return the JSON of an input's values, without the names they are given under."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        value = list(cast("Mapping[str, Any]", value).values())
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unjudgeable("the input is no JSON value") from error


_PARTS = frozenset({"properties", "input", "output", "meta"})
_OWN = {
    "kind": "kind",
    "step_type": "kind",
    "verb": "verb",
    "scope": "scope",
    "name": "name",
    "step_name": "name",
    "properties": "properties",
    "input": "input",
    "output": "output",
    "meta": "meta",
    "status": "status",
    "agent_id": "agent_id",
    "task_id": "task_id",
}
