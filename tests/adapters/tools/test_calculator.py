"""Arithmetic as people write it."""

import pytest

from muster.adapters.tools.base import ToolInputInvalid
from muster.adapters.tools.calculator import calculate


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 / 2", 3.5),
        ("6 / 2", 3),
        ("7 // 2", 3),
        ("7 % 4", 3),
        ("7%4", 3),
        ("7 % -4", -1),
        ("7 % (4 - 1)", 1),
        ("2 ** 10", 1024),
        ("2^3", 8),
        ("-3 + +5", 2),
        ("0.1 + 0.2", 0.3),
        ("12.5%", 0.125),
        ("200 * 15%", 30),
        ("50%-0.25", 0.25),
        ("(10 + 15)%", 0.25),
        ("100% / 4", 0.25),
        ("1,234,567.5 + 1", 1234568.5),
        ("(1,000 + 1) x 2", 2002),
        ("max(1,200)", 200),
        ("max(1, (2,000), 3)", 2000),
        ("3x4", 12),
        ("3 X 4", 12),
        ("(1+1)x(2+2)", 8),
        ("3 \N{MULTIPLICATION SIGN} 4 \N{DIVISION SIGN} 2 \N{MINUS SIGN} 1", 5),
        ("2 + 2 =", 4),
        ("sqrt(16) + abs(-2)", 6),
        ("round(2.567, 1)", 2.6),
        ("round(2.4)", 2),
        ("min(3, 1, 2) + max(3, 1)", 4),
        ("sum(1, 2, 3)", 6),
        ("log(e)", 1),
        ("log(8, 2)", 3),
        ("exp(0)", 1),
        ("floor(2.7) + ceil(2.1)", 5),
        ("percent(15, 200)", 30),
        ("percent(50)", 0.5),
        ("floor(pi)", 3),
        ("1e3 + 1", 1001),
        ("2 ** 0.5", 1.4142135623731),
        ("10 ** 20", 10**20),
        ("1e20", 1e20),
    ],
)
def test_results(expression: str, result: float) -> None:
    answer = calculate(f"  {expression} ")
    assert answer["expression"] == expression
    assert answer["result"] == pytest.approx(result, rel=1e-13)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "empty"),
        (" = ", "empty"),
        ("1 +", "cannot be read"),
        ("((1)", "cannot be read"),
        ("(" * 400 + "1" + ")" * 400, "cannot be read"),
        ("1" + "+1" * 600, "longer than 1000"),
        ("1 / 0", "divides by zero"),
        ("5 % 0", "divides by zero"),
        ("2 ** 5000", "at most 1000"),
        ("99999 ** 999", "too large"),
        ("9 ** 999 * 9 ** 999 * 9 ** 999 * 9 ** 999", "too large"),
        ("exp(1000)", "too large"),
        ("1e308 * 10", "too large"),
        ("sqrt(-1)", "no value there"),
        ("(-8) ** 0.5", "not a real number"),
        ("sqrt()", "wrong number"),
        ("open(1)", "does not know"),
        ("foo + 1", "does not know"),
        ("1 < 2", "other than numbers"),
        ("'a' * 3", "other than numbers"),
        ("__import__", "does not know"),
        ("(1).real", "does not know"),
        ("sqrt", "not a real number"),
        ("1 if 1 else 2", "does not know"),
        ("1 and 2", "does not know"),
        ("0x1F", "decimal number"),
        ("1,2", "does not know"),
        ("1 == 1 and 5", "other than numbers"),
    ],
)
def test_what_cannot_be_calculated(expression: str, reason: str) -> None:
    with pytest.raises(ToolInputInvalid, match=reason) as caught:
        calculate(expression)
    assert caught.value.errors[0].field == "expression"
