"""The builtin calculator: arithmetic as people write it, without evaluating code."""

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from muster.adapters.tools.base import ToolInputInvalid
from muster.kernel.errors import FieldError

MAX_EXPRESSION = 1_000
_MAX_EXPONENT = 1_000
_MAX_BITS = 10_000
_EXACT_INTEGER = 1e15
_SYMBOLS = str.maketrans(
    {
        "\N{MULTIPLICATION SIGN}": "*",
        "\N{MIDDLE DOT}": "*",
        "\N{DIVISION SIGN}": "/",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
    }
)
_ALLOWED = re.compile(r"[0-9A-Za-z_.,+\-*/%() \t\n]*")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_HEXADECIMAL = re.compile(r"\b0[xX][0-9A-Fa-f]+")
_TIMES = re.compile(r"(?<=[\d)%\s])\s*[xX]\s*(?=[\d(.\s])")
# `50%`, but not `50 % 3`: a percent sign with an operand behind it is the remainder.
_PERCENT = re.compile(r"(?<=[\d)])(?:%(?=\s*(?:[-+*/),]|$))|\s+%(?=\s*(?:[*/),]|$)))")

_NODES = (ast.Expr, ast.Constant, ast.Name, ast.Call, ast.UnaryOp, ast.BinOp)

Number = int | float


def calculate(expression: str) -> dict[str, Any]:
    """Work out `expression` and return `{"expression", "result"}`.

    Knows `+ - * / // % **` and parentheses, `12.5%`, `1,234.50`, the letter x and the signs of
    print for times and divided by, `pi` and `e`, and the functions in `FUNCTIONS`. Inside a
    function's parentheses a comma separates arguments.
    """
    from simpleeval import (  # pyright: ignore[reportMissingTypeStubs]
        InvalidExpression,
        SimpleEval,
    )

    prepared = _prepare(expression)
    evaluator: Any = SimpleEval(
        operators=_OPERATORS, functions=FUNCTIONS, names={"pi": math.pi, "e": math.e}
    )
    # Arithmetic needs no more; an attribute or a condition is a sign of something else.
    evaluator.nodes = {kind: evaluator.nodes[kind] for kind in _NODES}
    try:
        result: object = evaluator.eval(prepared)
    except ToolInputInvalid:
        raise
    except ZeroDivisionError:
        raise _invalid("It divides by zero.") from None
    except OverflowError:
        raise _invalid("The result is too large.") from None
    except InvalidExpression:
        raise _invalid(
            "It uses a name, function or operator that the calculator does not know. It knows "
            f"+ - * / // % ** and {', '.join(FUNCTIONS)}."
        ) from None
    except ValueError:
        raise _invalid(
            "A function has no value there, such as the root of a negative number."
        ) from None
    except TypeError:
        raise _invalid("A function was given the wrong number or kind of arguments.") from None
    except (SyntaxError, RecursionError, MemoryError):
        raise _invalid("It cannot be read. Check the parentheses and operators.") from None
    return {"expression": expression.strip(), "result": _tidy(result)}


def _prepare(expression: str) -> str:
    text = expression.strip().removesuffix("=").strip()
    if not text:
        raise _invalid("It is empty.")
    if len(text) > MAX_EXPRESSION:
        raise _invalid(f"It is longer than {MAX_EXPRESSION} characters.")
    text = text.translate(_SYMBOLS).replace("^", "**")
    if not _ALLOWED.fullmatch(text):
        raise _invalid("It holds characters other than numbers, operators and function names.")
    if _HEXADECIMAL.search(text):
        raise _invalid("Write a decimal number, or spaces around 'x' to multiply.")
    text = _without_thousands(text)
    text = _TIMES.sub("*", text)
    # In parentheses, so that it binds like the number it stands for.
    text = re.sub(rf"(\d+(?:\.\d*)?|\.\d+)(?:{_PERCENT.pattern})", r"(\1/100)", text)
    return " ".join(_PERCENT.sub("/100", text).split())


def _without_thousands(text: str) -> str:
    """Drop the separators of thousands outside function calls, where commas mean something else."""
    inside: list[bool] = []
    is_argument: list[bool] = []
    for index, character in enumerate(text):
        if character == "(":
            inside.append(bool(re.search(r"[A-Za-z_]\w*\s*$", text[:index])))
        elif character == ")" and inside:
            inside.pop()
        is_argument.append(bool(inside) and inside[-1])

    def strip(match: re.Match[str]) -> str:
        return match[0] if is_argument[match.start()] else match[0].replace(",", "")

    return _THOUSANDS.sub(strip, text)


def _tidy(result: object) -> Number:
    if isinstance(result, bool) or not isinstance(result, int | float):
        raise _invalid("Its result is not a real number.")
    if isinstance(result, int):
        if result.bit_length() > _MAX_BITS:
            raise _invalid("The result is too large.")
        return result
    if not math.isfinite(result):
        raise _invalid("The result is too large.")
    # Fifteen digits are what a float holds; more shows 0.30000000000000004 for 0.1 + 0.2.
    rounded = float(f"{result:.15g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < _EXACT_INTEGER else rounded


def _invalid(reason: str) -> ToolInputInvalid:
    return ToolInputInvalid(
        f"The expression cannot be calculated. {reason}",
        errors=[FieldError("expression", reason)],
    )


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > _MAX_EXPONENT:
        raise _invalid(f"Exponents may be at most {_MAX_EXPONENT}.")
    if isinstance(base, int) and base.bit_length() * abs(exponent) > _MAX_BITS:
        raise _invalid("The result is too large.")
    return base**exponent


def _times(left: Any, right: Any) -> Any:
    product = left * right
    if isinstance(product, int) and product.bit_length() > _MAX_BITS:
        raise _invalid("The result is too large.")
    return product


def _divide(left: Any, right: Any) -> Any:
    return left / right


def _divide_whole(left: Any, right: Any) -> Any:
    return left // right


def _percent(rate: Number, of: Number = 1) -> Number:
    """`percent(15, 200)` is 15 percent of 200."""
    return rate / 100 * of


def _sum(*values: Number) -> Number:
    return sum(values)


def _log(value: Number, base: Number = math.e) -> float:
    return math.log(value, base) if base != math.e else math.log(value)


def _round(value: Number, digits: int = 0) -> Number:
    return round(value, digits)


def _minimum(*values: Number) -> Number:
    return min(values)


def _maximum(*values: Number) -> Number:
    return max(values)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "round": _round,
    "abs": abs,
    "min": _minimum,
    "max": _maximum,
    "sum": _sum,
    "log": _log,
    "exp": math.exp,
    "floor": math.floor,
    "ceil": math.ceil,
    "percent": _percent,
}
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: _divide,
    ast.FloorDiv: _divide_whole,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
