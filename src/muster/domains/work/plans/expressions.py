"""The expression language of conditions, transforms and templates: simpleeval, nothing else.

Names are the variables of a run; `nodes.<name>` is the result of a node; functions are the few
below. There is no access to attributes of Python objects: what is read by a dot is a key.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import Any, cast

from simpleeval import (  # pyright: ignore[reportMissingTypeStubs]
    EvalWithCompoundTypes,
    InvalidExpression,
)

from muster.domains.work.plans.functions import FUNCTIONS, OPERATORS, plain, size, text
from muster.kernel.errors import Invalid

_MOST_CHARACTERS = 5_000
_MOST_VALUES = 500_000
"""How much one evaluation may handle; a text counts for a hundredth of its characters."""
_LONGEST_FILLED = 10_000_000
_SHOWN = 200
_NO_VALUE = (
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    MemoryError,
)
_READS = (ast.Name, ast.Attribute, ast.Subscript)


class ExpressionInvalid(Invalid):
    code, title = "expression_invalid", "An expression cannot be evaluated"


_CONSTANTS = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}


class _Evaluator(EvalWithCompoundTypes):
    """Reads `a.b` as a key of a mapping, and nothing of any Python object.

    What it handles is counted: by naming a list ten times in a list, again and again, few
    characters come to stand for more than memory holds.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        base: Any = super()
        base.__init__(operators=OPERATORS, functions=dict(FUNCTIONS), names=names)
        self.functions = FUNCTIONS  # without the types that the library adds
        self._left = _MOST_VALUES

    def _check_disallowed_items(self, item: Any) -> None:
        self._left -= size(item, self._left)
        if self._left < 0:
            raise ExpressionInvalid("An expression is too large for what it was given.")

    def _whole(self, node: ast.expr) -> Any:
        """Return what is only read of: that it is large does not matter."""
        nodes = cast("dict[type[ast.expr], Any]", self.nodes)  # pyright: ignore[reportUnknownMemberType]
        if isinstance(node, _READS):
            return nodes[type(node)](node)
        return cast("Any", self._eval(node))  # pyright: ignore[reportUnknownMemberType]

    def _eval_attribute(self, node: ast.Attribute) -> Any:
        evaluated = self._whole(node.value)
        whole = cast(
            "Mapping[str, Any] | None", evaluated if isinstance(evaluated, Mapping) else None
        )
        if whole is None:
            raise ExpressionInvalid(f"{node.attr} can only be read of an object.")
        if node.attr not in whole:
            raise ExpressionInvalid(f"There is no {node.attr} here.")
        return whole[node.attr]

    def _eval_subscript(self, node: ast.Subscript) -> Any:
        return self._whole(node.value)[self._eval(node.slice)]  # pyright: ignore[reportUnknownMemberType]

    def _eval_set(self, node: ast.Set) -> Any:
        # In the order in which it is written: that of a Python set differs between processes.
        return list(dict.fromkeys(cast("Any", self._eval(one)) for one in node.elts))  # pyright: ignore[reportUnknownMemberType]

    def _eval_formattedvalue(self, node: ast.FormattedValue) -> Any:
        if node.format_spec is not None:
            raise ExpressionInvalid("An expression cannot format: a text has no width.")
        return cast("Any", self._eval(node.value))  # pyright: ignore[reportUnknownMemberType]


def parse(expression: str) -> ast.Expression:
    """Return the syntax tree; raises `ExpressionInvalid` with the position."""
    if len(expression) > _MOST_CHARACTERS:
        raise ExpressionInvalid(f"An expression may have {_MOST_CHARACTERS} characters.")
    try:
        return ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None)
        at = f" at character {column}" if column else ""
        raise ExpressionInvalid(f"{_shown(expression)} cannot be read{at}.") from None


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
    tree = parse(expression)
    evaluator = _Evaluator({**_CONSTANTS, **variables})
    try:
        return plain(evaluator.eval(expression, tree.body))  # pyright: ignore[reportUnknownMemberType]
    except ExpressionInvalid:
        raise
    except InvalidExpression as error:
        name = getattr(error, "name", None) or getattr(error, "func_name", None)
        reason = f"{name} is not known" if name else "it is not allowed"
        raise ExpressionInvalid(f"{_shown(expression)}: {reason}.") from None
    except _NO_VALUE:
        told = f"{_shown(expression)} has no value for what it was given."
        raise ExpressionInvalid(told) from None


def _shown(expression: str) -> str:
    shown = expression.strip()
    return repr(shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}...")


def holds(expression: str, variables: Mapping[str, Any]) -> bool:
    """Tell whether a condition holds."""
    return bool(evaluate(expression, variables))


def template_expressions(text: str) -> list[str]:
    """Return the expressions in a template."""
    return [piece.strip() for piece, is_expression in _pieces(text) if is_expression]


def _pieces(template: str) -> Iterator[tuple[str, bool]]:
    """Return the parts of a template, and which of them are expressions."""
    at = 0
    while (begins := template.find("{{", at)) >= 0:
        ends = template.find("}}", begins + 2)
        if ends < 0:
            break
        if begins > at:
            yield template[at:begins], False
        yield template[begins + 2 : ends], True
        at = ends + 2
    if at < len(template):
        yield template[at:], False


def render(value: Any, variables: Mapping[str, Any]) -> Any:
    """Return a value with the templates in it filled; one that is all of a text keeps its type."""
    try:
        return _rendered(value, variables)
    except RecursionError:
        raise ExpressionInvalid("What is to be filled is nested too deeply.") from None


def _rendered(value: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        return {key: _rendered(one, variables) for key, one in given.items()}
    if isinstance(value, list):
        return [_rendered(one, variables) for one in cast("list[Any]", value)]
    if not isinstance(value, str) or "{{" not in value:
        return value
    pieces = list(_pieces(value.strip()))
    if len(pieces) == 1 and pieces[0][1]:
        return evaluate(pieces[0][0], variables)
    filled: list[str] = []
    left = _LONGEST_FILLED
    for piece, is_expression in _pieces(value):
        filled.append(text(evaluate(piece, variables)) if is_expression else piece)
        left -= len(filled[-1])
        if left < 0:
            raise ExpressionInvalid(f"A text may be filled with {_LONGEST_FILLED} characters.")
    return "".join(filled)
