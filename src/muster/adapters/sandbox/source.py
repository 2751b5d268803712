"""Reads a tool's Python source without running it: is it usable, and what does `run` take."""

import ast
import json
from dataclasses import dataclass
from typing import Any

from muster.adapters.sandbox.annotations import schema_of
from muster.adapters.sandbox.errors import SourceInvalid
from muster.adapters.sandbox.worker import WHOLE_ARGUMENT_NAMES
from muster.kernel.errors import FieldError

MAXIMUM_SOURCE_BYTES = 256 * 1024

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a source from being a tool; `line` counts from 1."""

    line: int
    message: str


def check_source(source: str) -> list[Problem]:
    """Name what is wrong with a source; an empty list means it can be run."""
    found = _parse(source)
    return [found] if isinstance(found, Problem) else _signature_problems(found)


def signature_schema(source: str) -> dict[str, Any]:
    """Derive the JSON Schema of the arguments from the signature of `run`.

    Unknown annotations accept any value. Raises `SourceInvalid` for a source with problems.
    """
    function = _parse(source)
    problems = [function] if isinstance(function, Problem) else _signature_problems(function)
    if problems or isinstance(function, Problem):
        raise SourceInvalid(
            f"Line {problems[0].line}: {problems[0].message}",
            errors=[FieldError(f"source:{entry.line}", entry.message) for entry in problems],
        )
    description = ast.get_docstring(function)
    head: dict[str, Any] = {"type": "object"}
    if description:
        head["description"] = description
    if _takes_whole(function):
        return head | {"properties": {}, "additionalProperties": True}
    return head | _properties(function)


def _parse(source: str) -> _Function | Problem:
    if len(source.encode("utf-8", "replace")) > MAXIMUM_SOURCE_BYTES:
        return Problem(1, f"The source is larger than {MAXIMUM_SOURCE_BYTES // 1024} KB.")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return Problem(max(error.lineno or 1, 1), f"Syntax error: {error.msg}.")
    except (ValueError, RecursionError, MemoryError):
        return Problem(1, "The source cannot be parsed: a null character or too deep nesting.")
    named = [node for node in tree.body if isinstance(node, _Function) and node.name == "run"]
    if not named:
        return Problem(1, "There is no function `run` at the top level; define `def run(...)`.")
    return named[-1]


def _signature_problems(function: _Function) -> list[Problem]:
    problems = [
        Problem(argument.lineno, f"Parameter `{argument.arg}` must be usable by name, without `/`.")
        for argument in function.args.posonlyargs
    ]
    if function.args.vararg:
        problems.append(
            Problem(
                function.args.vararg.lineno,
                f"`*{function.args.vararg.arg}` can receive nothing: arguments come by name.",
            )
        )
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function)):
        problems.append(Problem(function.lineno, "`run` must return its result, not yield it."))
    return problems


def _own_nodes(function: _Function) -> list[ast.AST]:
    """Every node of the body that is not inside a function or class of its own."""
    found: list[ast.AST] = []
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        found.append(node)
        if not isinstance(node, _Function | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
    return found


def _takes_whole(function: _Function) -> bool:
    arguments = function.args
    if len(arguments.args) != 1 or arguments.kwonlyargs or arguments.kwarg:
        return False
    only = arguments.args[0]
    if only.arg not in WHOLE_ARGUMENT_NAMES:
        return False
    return only.annotation is None or schema_of(only.annotation).get("type") == "object"


def _properties(function: _Function) -> dict[str, Any]:
    arguments = function.args
    padding: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults))
    pairs = [
        *zip(arguments.args, padding + list(arguments.defaults), strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    properties: dict[str, Any] = {}
    for argument, default in pairs:
        schema = schema_of(argument.annotation)
        if default is not None:
            schema |= _default(default)
        properties[argument.arg] = schema
    return {
        "properties": properties,
        "required": [argument.arg for argument, default in pairs if default is None],
        "additionalProperties": arguments.kwarg is not None,
    }


def _default(node: ast.expr) -> dict[str, Any]:
    """The default as JSON, or nothing if only running the code could tell it."""
    try:
        value = ast.literal_eval(node)
        same = json.loads(json.dumps(value, allow_nan=False)) == value
    except (ValueError, TypeError, RecursionError, MemoryError):
        return {}
    return {"default": value} if same else {}
