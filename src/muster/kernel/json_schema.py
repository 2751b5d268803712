"""JSON Schemas that users give: what is wrong with one, and a validator that fetches nothing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from muster.kernel.nearest import nearest

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_REFERENCES = frozenset({"$ref", "$dynamicRef"})
_ADDRESSES = frozenset({"$id", "$schema"})
_REMEMBERED, _LONGEST_REMEMBERED = 256, 20_000
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """What makes a schema none that a value could be held against.

    `path` is where in the schema, such as `properties.age.type`; it is empty for the whole.
    """

    path: str
    message: str
    suggestion: str | None = None

    @property
    def advice(self) -> str:
        """The message, with what was probably meant."""
        meant = f" Did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{self.message}{meant}"

    @property
    def text(self) -> str:
        """The same, with the place in front."""
        return f"{self.path}: {self.advice}" if self.path else self.advice


def schema_fault(schema: Mapping[str, Any]) -> SchemaFault | None:
    """Return what is wrong with a schema; None where values can be held against it."""
    try:
        text = json.dumps(schema)
    except RecursionError:
        return SchemaFault("", "The schema is nested too deeply.")
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _fault_in(json.loads(text))


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Return a validator of the draft that a sound schema names, of the newest where it names none.

    Its registry is empty: a reference in a schema must never make us fetch an address.
    """
    from referencing import Registry

    registry: Registry[Any] = Registry()
    return _draft(schema)(schema, registry=registry)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(text: str) -> SchemaFault | None:
    return _fault_in(json.loads(text))


def _fault_in(schema: dict[str, Any]) -> SchemaFault | None:
    try:
        return _of_words(schema) or _of_rules(schema) or _of_references(schema)
    except RecursionError:
        return SchemaFault("", "The schema is nested too deeply.")


def _draft(schema: Mapping[str, Any]) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    return validator_for(schema, default=Draft202012Validator)


def _of_words(schema: dict[str, Any]) -> SchemaFault | None:
    """Look at the addresses, which the library takes to be sound."""
    if not isinstance(schema.get("$schema", ""), str):
        return SchemaFault("$schema", "This must be the address of a draft of JSON Schema.")
    for path, name, value in _words_of(schema):
        try:
            urlsplit(value)
        except ValueError:
            return SchemaFault(path, "This is no address.")
        if name in _REFERENCES and not value.startswith("#"):
            text = f"The schema refers to '{value[:_SHOWN]}'; only references inside it are "
            return SchemaFault(path, f"{text}followed.")
    return None


def _of_rules(schema: dict[str, Any]) -> SchemaFault | None:
    from jsonschema.exceptions import SchemaError

    try:
        _draft(schema).check_schema(schema)
    except SchemaError as error:
        return _described(error)
    except OverflowError:
        return SchemaFault("", "A pattern repeats something too often to be matched.")
    return None


def _described(error: Any) -> SchemaFault:
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "format" and error.validator_value == "regex":
        return SchemaFault(path, "This is no regular expression.")
    given: Any = error.instance
    named = cast("list[Any]", given) if isinstance(given, list) else [given]
    unknown = [name for name in named if name not in _TYPES]
    if path.rpartition(".")[2] == "type" and error.validator == "anyOf" and unknown:
        shown = json.dumps(unknown[0], ensure_ascii=False)[:_SHOWN]
        text = f"There is no type {shown} in JSON Schema; there are {', '.join(_TYPES)}."
        near = nearest(unknown[0], _TYPES) if isinstance(unknown[0], str) else None
        return SchemaFault(path, text, near)
    return SchemaFault(path, f"This breaks the rule '{error.validator}' of JSON Schema.")


def _of_references(schema: dict[str, Any]) -> SchemaFault | None:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    words = [word for word in _words_of(schema) if word[1] != "$schema"]
    if any(name == "$id" for _, name, _ in words):
        return None  # its references are to be read from there; leading nowhere they fail the run
    registry: Registry[Any] = Registry()
    resolver = registry.resolver_with_root(DRAFT202012.create_resource(schema))
    for path, _, value in words:
        try:
            resolver.lookup(value)
        except (Unresolvable, ValueError):
            text = f"The reference '{value[:_SHOWN]}' leads nowhere in the schema."
            return SchemaFault(path, text, nearest(value, _definitions(schema)))
    return None


def _definitions(schema: dict[str, Any]) -> list[str]:
    return [
        f"#/{part}/{name}"
        for part in ("$defs", "definitions")
        for name in cast("dict[str, Any]", schema.get(part) or {})
    ]


def _words_of(node: Any) -> Iterator[tuple[str, str, str]]:
    """Yield path, name and value of every reference and address in a schema."""
    pending: list[tuple[str, Any]] = [("", node)]
    while pending:
        path, current = pending.pop()
        inner: list[tuple[Any, Any]] = []
        if isinstance(current, dict):
            inner = list(cast("dict[str, Any]", current).items())
        elif isinstance(current, list):
            inner = list(enumerate(cast("list[Any]", current)))
        for name, value in inner:
            where = f"{path}.{name}".lstrip(".")
            if name in _REFERENCES | _ADDRESSES and isinstance(value, str):
                yield where, name, value
            pending.append((where, value))
