"""JSON Schema read plainly: references followed, alternatives decided, types told."""

from collections.abc import Mapping
from typing import Any, cast

_MOST_STEPS = 40

Schema = Mapping[str, Any]


def as_schema(value: Any) -> Schema:
    """Return a schema's object; `true` and whatever is no schema allow everything."""
    return cast("Schema", value) if isinstance(value, Mapping) else {}


def resolved(schema: Schema, root: Schema, *, prefers_null: bool = False) -> Schema:
    """Return `schema` without `$ref`, `anyOf`, `oneOf` and `allOf` at its top.

    Of alternatives the first that is not null is taken, with `prefers_null` null where it may be.
    """
    pending: list[Schema] = [schema]
    merged: dict[str, Any] = {}
    # The limit ends references that lead back to themselves.
    for _ in range(_MOST_STEPS):
        if not pending:
            break
        entry = pending.pop()
        if isinstance(reference := entry.get("$ref"), str):
            pending.append(_referenced(reference, root))
        if isinstance(parts := entry.get("allOf"), list):
            pending.extend(as_schema(part) for part in reversed(cast("list[Any]", parts)))
        if isinstance(options := entry.get("anyOf") or entry.get("oneOf"), list):
            choices = [as_schema(option) for option in cast("list[Any]", options)]
            pending.append(_option(choices, prefers_null))
        merged = _merged(_without(entry, "$ref", "allOf", "anyOf", "oneOf"), merged)
    return merged


def type_of(schema: Schema) -> str:
    """Return the type to build; a schema that names none is told from its keywords."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(k) for k in cast("list[Any]", kind) if k != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def whole(value: Any, fallback: int) -> int:
    """Return `value` where it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else fallback


def edge_numbers(schema: Schema) -> list[float]:
    """Return numbers at the edges of what a number's schema allows, the default first."""

    def bound(name: str) -> float | None:
        value = schema.get(name)
        return float(value) if isinstance(value, (int, float)) else None

    low, high, step = bound("minimum"), bound("maximum"), bound("multipleOf")
    above, below = bound("exclusiveMinimum"), bound("exclusiveMaximum")
    found = [bound("default"), 0.0, low, high]
    for unit in (step or 1.0, 0.001):
        found.append(None if above is None else above + unit)
        found.append(None if below is None else below - unit)
    least = low if low is not None else above
    if step and least is not None:
        found.append((least // step + 1) * step)
    return [number for number in found if number is not None]


def shortened(text: str, schema: Schema) -> str:
    """Return `text` cut at a word to the length that a string's schema allows."""
    most = whole(schema.get("maxLength"), len(text))
    if len(text) <= most:
        return text
    return text[:most].rsplit(" ", 1)[0] if " " in text[:most] else text[:most]


def _referenced(reference: str, root: Schema) -> dict[str, Any]:
    target: Any = root if reference.startswith("#") else {}
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            target = as_schema(target).get(part.replace("~1", "/").replace("~0", "~"))
    return dict(as_schema(target))


def _option(options: list[Schema], prefers_null: bool) -> Schema:
    nothing = next((option for option in options if option.get("type") == "null"), None)
    if prefers_null and nothing is not None:
        return nothing
    return next((option for option in options if option.get("type") != "null"), nothing or {})


def _without(schema: Schema, *names: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in names}


def _merged(one: Schema, other: Schema) -> dict[str, Any]:
    """Return both schemas as one; `other` wins where they differ."""
    merged = {**one, **other}
    if properties := {**as_schema(one.get("properties")), **as_schema(other.get("properties"))}:
        merged["properties"] = properties
    if required := [*one.get("required", []), *other.get("required", [])]:
        merged["required"] = required
    return merged
