"""Schemas of an OpenAPI document as self-contained JSON Schema; recursive ones keep their cycle."""

import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote

_NODE_BUDGET = 20_000
_MAX_REFERENCES = 50
_ANNOTATIONS = frozenset({"example", "examples", "xml", "discriminator", "externalDocs"})
_MAPS = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLE = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"}
)

Json = dict[str, Any]


def lookup(document: Mapping[str, Any], reference: str) -> Any:
    """The value at a local reference (`#/a/b`), or None when it is remote or leads nowhere."""
    if not reference.startswith("#/"):
        return None
    node: Any = document
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and key.isdecimal():
            items = cast("list[Any]", node)
            node = items[int(key)] if int(key) < len(items) else None
        elif isinstance(node, dict):
            node = cast("Json", node).get(key)
        else:
            return None
    return node


def resolve(document: Mapping[str, Any], node: Any) -> Json:
    """Follow references until there is an object that is none; an empty one if there is none."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(node, dict):
            return {}
        reference: object = cast("Json", node).get("$ref")
        if not isinstance(reference, str):
            return cast("Json", node)
        node = lookup(document, reference)
    return {}


class SchemaReader:
    """Reads the schemas of one operation.

    References are written out in place, except those that lead back into themselves: these go to
    `definitions` (for `$defs`) and stay references. A document that would grow beyond the node
    budget has its innermost schemas left open (`{}`), which accepts anything.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._budget = _NODE_BUDGET
        self._names: dict[str, str] = {}
        self.definitions: Json = {}

    def read(self, schema: Any) -> Json:
        """Convert one schema. Fields that only the server sets (`readOnly`) are left out."""
        converted = self._convert(schema, ())
        pending = [ref for ref, name in self._names.items() if name not in self.definitions]
        while pending:
            for reference in pending:
                self.definitions[self._names[reference]] = self._convert(
                    lookup(self._document, reference), (reference,)
                )
            pending = [ref for ref, name in self._names.items() if name not in self.definitions]
        return cast("Json", converted) if isinstance(converted, dict) else {}

    def _convert(self, schema: Any, stack: tuple[str, ...]) -> Any:
        self._budget -= 1
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict) or self._budget < 0:
            return {}
        source = cast("Json", schema)
        reference: object = source.get("$ref")
        if isinstance(reference, str):
            return self._follow(reference, source, stack)
        converted: Json = {}
        for key, value in source.items():
            if key in _ANNOTATIONS or key.startswith("x-"):
                continue
            converted[key] = self._keyword(key, value, stack)
        return _modern(converted)

    def _follow(self, reference: str, source: Json, stack: tuple[str, ...]) -> Any:
        if not reference.startswith("#/"):
            return {"description": "Described by an external document, which is not followed."}
        if reference in stack:
            return {"$ref": f"#/$defs/{self._name(reference)}"}
        target = self._convert(lookup(self._document, reference), (*stack, reference))
        beside = {key: value for key, value in source.items() if key != "$ref"}
        if beside and isinstance(target, dict):
            extra: Json = self._convert(beside, stack)
            return {**cast("Json", target), **extra}
        return target

    def _keyword(self, key: str, value: Any, stack: tuple[str, ...]) -> Any:
        if key in _MAPS and isinstance(value, dict):
            return {
                name: self._convert(inner, stack)
                for name, inner in cast("Json", value).items()
                if not (key == "properties" and self._is_read_only(inner))
            }
        if key in _LISTS and isinstance(value, list):
            return [self._convert(inner, stack) for inner in cast("list[Any]", value)]
        if key in _SINGLE and isinstance(value, dict | bool):
            return self._convert(value, stack)
        return value

    def _is_read_only(self, schema: Any) -> bool:
        return resolve(self._document, schema).get("readOnly") is True

    def _name(self, reference: str) -> str:
        if reference not in self._names:
            stem = re.sub(r"[^A-Za-z0-9_-]", "_", reference.rsplit("/", 1)[-1]) or "schema"
            name, number = stem, 1
            while name in self._names.values():
                number += 1
                name = f"{stem}_{number}"
            self._names[reference] = name
        return self._names[reference]


def _modern(schema: Json) -> Json:
    """Write OpenAPI 3.0's own keywords as JSON Schema 2020-12."""
    nullable = schema.pop("nullable", False) is True
    if nullable and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(flag), bool) and schema.pop(flag) and bound in schema:
            schema[flag] = schema.pop(bound)
    required: object = schema.get("required")
    if isinstance(required, list) and isinstance(schema.get("properties"), dict):
        names = [name for name in cast("list[Any]", required) if name in schema["properties"]]
        schema["required"] = names
    elif required is not None and not isinstance(required, list):
        del schema["required"]
    return schema
