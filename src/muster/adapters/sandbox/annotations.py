"""Translates Python type annotations, as syntax trees, into JSON Schema."""

import ast
from typing import Any

PLAIN: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "list": {"type": "array"},
    "List": {"type": "array"},
    "Sequence": {"type": "array"},
    "dict": {"type": "object"},
    "Dict": {"type": "object"},
    "Mapping": {"type": "object"},
}


def schema_of(annotation: ast.expr | None) -> dict[str, Any]:
    """Return the schema of an annotation; `{}`, which accepts anything, if it says nothing."""
    match annotation:
        case ast.Constant(value=None):
            return dict(PLAIN["None"])
        case ast.Constant(value=str(text)):
            return _quoted(text)
        case ast.Name() | ast.Attribute():
            return dict(PLAIN.get(_name(annotation), {}))
        case ast.BinOp(op=ast.BitOr()):
            return _any_of([annotation.left, annotation.right])
        case ast.Subscript():
            return _generic(annotation)
        case _:
            return {}


def _quoted(text: str) -> dict[str, Any]:
    try:
        return schema_of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _generic(node: ast.Subscript) -> dict[str, Any]:
    name = _name(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    match name:
        case "Optional":
            return _any_of([node.slice, ast.Constant(value=None)])
        case "Union":
            return _any_of(inner)
        case "Literal":
            values = [entry.value for entry in inner if isinstance(entry, ast.Constant)]
            return {"enum": values}
        case "Annotated":
            return _annotated(inner)
        case _:
            return _container(dict(PLAIN.get(name, {})), inner)


def _container(schema: dict[str, Any], inner: list[ast.expr]) -> dict[str, Any]:
    if schema.get("type") == "array" and (items := schema_of(inner[0])):
        schema["items"] = items
    if schema.get("type") == "object" and (values := schema_of(inner[-1])):
        schema["additionalProperties"] = values
    return schema


def _annotated(inner: list[ast.expr]) -> dict[str, Any]:
    """The first text beside the type describes it."""
    schema = schema_of(inner[0])
    texts = [
        entry.value
        for entry in inner[1:]
        if isinstance(entry, ast.Constant) and isinstance(entry.value, str)
    ]
    return schema | {"description": texts[0]} if texts else schema


def _any_of(options: list[ast.expr]) -> dict[str, Any]:
    """One schema for a choice; anything goes if one of its options says nothing."""
    schemas: list[dict[str, Any]] = []
    for option in options:
        schema = schema_of(option)
        if not schema:
            return {}
        schemas += schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {"anyOf": schemas}
