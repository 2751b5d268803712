"""The expression language of conditions, transforms and templates: simpleeval, nothing else.

Names are the variables of a run; `nodes.<name>` is the result of a node; functions are the few
below. There is no access to attributes of Python objects: what is read by a dot is a key.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from simpleeval import (  # pyright: ignore[reportMissingTypeStubs]
    EvalWithCompoundTypes,
    InvalidExpression,
)

from muster.kernel.errors import Invalid

_MOST_CHARACTERS = 5_000
_LONGEST_RANGE = 1_000
_TEMPLATE = re.compile(r"\{\{((?:(?!\}\}).)*)\}\}", re.DOTALL)


class ExpressionInvalid(Invalid):
    code, title = "expression_invalid", "An expression cannot be evaluated"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _contains(whole: Any, part: Any) -> bool:
    return part in whole


def _number(value: Any) -> float:
    return float(value)


def _lower(value: Any) -> str:
    return str(value).lower()


def _upper(value: Any) -> str:
    return str(value).upper()


def _trim(value: Any) -> str:
    return str(value).strip()


def _split(value: Any, by: str | None = None) -> list[str]:
    return str(value).split(by)


def _lines(value: Any) -> list[str]:
    return [line for line in str(value).splitlines() if line.strip()]


def _join(values: Sequence[Any], by: str = ", ") -> str:
    return by.join(_text(value) for value in values)


def _json(value: Any) -> Any:
    return msgspec.json.decode(str(value).encode())


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
    "text": _text,
    "json": _json,
    "min": min,
    "max": max,
    "sum": sum,
    "sorted": sorted,
    "range": _range,
    "default": _default,
}
_CONSTANTS = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}


class _Evaluator(EvalWithCompoundTypes):
    """Reads `a.b` as a key of a mapping, and nothing of any Python object."""

    def _eval_attribute(self, node: ast.Attribute) -> Any:
        evaluated = cast("Any", self._eval(node.value))  # pyright: ignore[reportUnknownMemberType]
        whole = cast(
            "Mapping[str, Any] | None", evaluated if isinstance(evaluated, Mapping) else None
        )
        if whole is None:
            raise ExpressionInvalid(f"{node.attr} can only be read of an object.")
        if node.attr not in whole:
            raise ExpressionInvalid(f"There is no {node.attr} here.")
        return whole[node.attr]


def parse(expression: str) -> ast.AST:
    """Return the syntax tree; raises `ExpressionInvalid` with the position."""
    if len(expression) > _MOST_CHARACTERS:
        raise ExpressionInvalid(f"An expression may have {_MOST_CHARACTERS} characters.")
    try:
        return ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        column = getattr(error, "offset", None)
        at = f" at character {column}" if column else ""
        raise ExpressionInvalid(f"{expression.strip()!r} cannot be read{at}.") from None


def names_of(expression: str) -> set[str]:
    """Return the variables that an expression reads, functions and constants not among them."""
    tree = parse(expression)
    bound = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.comprehension)
        for target in ast.walk(node.target)
        if isinstance(target, ast.Name)
    }
    return (
        {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        - bound
        - set(FUNCTIONS)
        - set(_CONSTANTS)
    )


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """Return the value of an expression; raises `ExpressionInvalid` with what is wrong."""
    parse(expression)
    evaluator = _Evaluator(functions=FUNCTIONS, names={**_CONSTANTS, **variables})
    try:
        value = cast("Any", evaluator.eval(expression.strip()))  # pyright: ignore[reportUnknownMemberType]
    except ExpressionInvalid:
        raise
    except InvalidExpression as error:
        name = getattr(error, "name", None) or getattr(error, "func_name", None)
        reason = f"{name} is not known" if name else "it is not allowed"
        raise ExpressionInvalid(f"{expression.strip()!r}: {reason}.") from None
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        text = f"{expression.strip()!r} has no value for what it was given."
        raise ExpressionInvalid(text) from None
    return value


def holds(expression: str, variables: Mapping[str, Any]) -> bool:
    """Tell whether a condition holds."""
    return bool(evaluate(expression, variables))


def template_expressions(text: str) -> list[str]:
    """Return the expressions in a template."""
    return [match.strip() for match in _TEMPLATE.findall(text)]


def render(value: Any, variables: Mapping[str, Any]) -> Any:
    """Return a value with the templates in it filled; one that is all of a text keeps its type."""
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        return {key: render(one, variables) for key, one in given.items()}
    if isinstance(value, list):
        return [render(one, variables) for one in cast("list[Any]", value)]
    if not isinstance(value, str):
        return value
    whole = _TEMPLATE.fullmatch(value.strip())
    if whole is not None:
        return evaluate(whole[1], variables)
    return _TEMPLATE.sub(lambda match: _text(evaluate(match[1], variables)), value)
