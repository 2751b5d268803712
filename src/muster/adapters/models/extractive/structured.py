"""Structured output: a value that fits a JSON Schema, filled from the material."""

from typing import Any, cast

from muster.adapters.models.extractive.arguments import fits
from muster.adapters.models.extractive.evidence import FORMATS, PLACES, Evidence
from muster.adapters.models.extractive.schemas import (
    Schema,
    as_schema,
    edge_numbers,
    resolved,
    shortened,
    type_of,
    whole,
)
from muster.adapters.models.extractive.toolkinds import name_words

_DEEPEST = 6
_MOST_ITEMS = 3
_PLAIN_TEXTS = ("not found", "none", "0", "a", "A", "")


class SchemaUnfillable(Exception):
    """No value could be made that fits the schema."""


def fill_schema(schema: Schema, evidence: Evidence) -> Any:
    """Return a value that fits `schema`: what the material holds, else fixed fallbacks."""
    # What was found may break a rule the schema states across fields: then the least that fits.
    for is_bare in (False, True):
        value = _Filler(schema, evidence, is_bare=is_bare).value(schema, "", 0)
        if fits(value, schema):
            return value
    raise SchemaUnfillable


class _Filler:
    def __init__(self, root: Schema, evidence: Evidence, *, is_bare: bool) -> None:
        self.root = root
        self.evidence = evidence
        self.is_bare = is_bare

    def value(self, schema: Schema, about: str, depth: int) -> Any:
        entry = self._resolved(schema, depth)
        about = f"{about} {entry.get('title', '')} {entry.get('description', '')}".strip()
        if "const" in entry:
            return entry["const"]
        choices = entry.get("enum")
        if isinstance(choices, list) and choices:
            return self._choice(cast("list[Any]", choices), about, entry)
        built: Any = None
        match type_of(entry):
            case "object":
                built = self._object(entry, about, depth)
            case "array":
                built = self._array(entry, about, depth)
            case "integer" | "number" as kind:
                built = self._number(entry, about, is_integer=kind == "integer")
            case "boolean":
                built = self._boolean(entry, about)
            case "null":
                pass
            case _:
                built = self._string(entry, about)
        return built

    def _resolved(self, schema: Schema, depth: int) -> Schema:
        prefers_null = self.is_bare or depth >= _DEEPEST
        return resolved(schema, self.root, prefers_null=prefers_null)

    def _object(self, schema: Schema, about: str, depth: int) -> dict[str, Any]:
        properties = as_schema(schema.get("properties"))
        required = [str(name) for name in cast("list[Any]", schema.get("required") or [])]
        optional = [] if self.is_bare or depth >= _DEEPEST else list(properties)
        filled: dict[str, Any] = {}
        for name in dict.fromkeys([*optional, *required]):
            # Only an object that must hold itself without end is still being filled here.
            if depth > 2 * _DEEPEST:
                break
            entry = as_schema(properties.get(name))
            field = " ".join([*name_words(name), about if depth else ""])
            if name in required or not self._lacks(entry, field):
                filled[name] = self.value(entry, field, depth + 1)
        return filled

    def _lacks(self, schema: Schema, about: str) -> bool:
        """Tell whether nothing was found for a date, an address or the like."""
        form = schema.get("format")
        return form in FORMATS and not self.evidence.formatted(str(form), about)

    def _array(self, schema: Schema, about: str, depth: int) -> list[Any]:
        least = whole(schema.get("minItems"), 0)
        most = whole(schema.get("maxItems"), max(least, _MOST_ITEMS))
        items = self._resolved(as_schema(schema.get("items")), depth)
        entries = [] if self.is_bare else self._entries(items, about, most, depth)
        found: list[Any] = []
        for entry in entries:
            if entry not in found and self._fits(entry, items):
                found.append(entry)
        found = found[:most]
        while len(found) < least:
            extra = self.value(items, about, depth + 1)
            found.append(self._another(items, found) if extra in found else extra)
        return found

    def _entries(self, items: Schema, about: str, most: int, depth: int) -> list[Any]:
        if type_of(items) == "string" and "enum" not in items:
            if PLACES & set(about.lower().split()) and self.evidence.sources:
                return list(self.evidence.sources)
            return list(self.evidence.sentences(about, most))
        if depth >= _DEEPEST or not self.evidence.corpus.sentences:
            return []
        return [self.value(items, about, depth + 1)]

    def _another(self, items: Schema, found: list[Any]) -> Any:
        """Return an entry that is not in the list yet."""
        choices = items.get("enum")
        if isinstance(choices, list):
            return next((c for c in cast("list[Any]", choices) if c not in found), found[-1])
        match type_of(items):
            case "integer" | "number":
                return max(found) + 1
            case "string":
                return f"item {len(found) + 1}"
            case _:
                return found[-1]

    def _choice(self, choices: list[Any], about: str, schema: Schema) -> Any:
        chosen = None if self.is_bare else self.evidence.choice(choices, about)
        if chosen is not None:
            return chosen
        return schema["default"] if schema.get("default") in choices else choices[0]

    def _number(self, schema: Schema, about: str, *, is_integer: bool) -> float | int:
        candidates = [] if self.is_bare else self.evidence.numbers(about)
        for candidate in [*candidates, *edge_numbers(schema)]:
            is_whole = is_integer or candidate == int(candidate)
            value = round(candidate) if is_whole else candidate
            if self._fits(value, schema):
                return value
        return 0

    def _boolean(self, schema: Schema, about: str) -> bool:
        return schema.get("default") is True or (not self.is_bare and self.evidence.affirms(about))

    def _string(self, schema: Schema, about: str) -> str:
        found = [] if self.is_bare else self.evidence.texts(schema, about)
        form = schema.get("format")
        fixed = [FORMATS[form]] if isinstance(form, str) and form in FORMATS else []
        default = [schema["default"]] if isinstance(schema.get("default"), str) else []
        prose = [] if self.is_bare or fixed or default else [self.evidence.answer]
        for candidate in [*found, *default, *prose, *fixed, *_PLAIN_TEXTS]:
            for text in (candidate, shortened(candidate, schema)):
                if self._fits(text, schema):
                    return text
        return _PLAIN_TEXTS[0].ljust(whole(schema.get("minLength"), 0), ".")

    def _fits(self, value: Any, schema: Schema) -> bool:
        definitions = {key: self.root[key] for key in ("$defs", "definitions") if key in self.root}
        return fits(value, {**definitions, **schema})
