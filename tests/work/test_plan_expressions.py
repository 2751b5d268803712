"""The expression language: what it can, what it refuses, and that it never takes long."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.domains.work.plans import (
    ExpressionInvalid,
    evaluate,
    holds,
    names_of,
    render,
    template_expressions,
)

VARIABLES: dict[str, Any] = {
    "n": 3,
    "word": "Tea",
    "list": [3, 1, 2],
    "one": {"name": "Ada", "tags": ["a", "b"], "__class__": "key", "deep": {"x": {"y": 7}}},
    "none": None,
    "large": ["x" * 1000] * 20_000,
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("len(list)", 3),
        ("lower(word)", "tea"),
        ("upper(word)", "TEA"),
        ("lower(true)", "true"),
        ("trim('  a b ')", "a b"),
        ("split('a b  c')", ["a", "b", "c"]),
        ("split('a,b', ',')", ["a", "b"]),
        ("lines('a\\n\\n b')", ["a", " b"]),
        ("join(list)", "3, 1, 2"),
        ("join(one.tags, '-')", "a-b"),
        ("contains(word, 'e')", True),
        ("contains(list, 9)", False),
        ("number('1.5')", 1.5),
        ("text(list)", "[3,1,2]"),
        ("text(word)", "Tea"),
        ("json('{\"a\": [1]}').a[0]", 1),
        ("min(list)", 1),
        ("max(1, n)", 3),
        ("sum(list)", 6),
        ("sorted(list)", [1, 2, 3]),
        ("sorted(list, reverse=True)", [3, 2, 1]),
        ("range(3)", [0, 1, 2]),
        ("len(range(10 ** 9))", 1000),
        ("default(none, 4)", 4),
        ("default('', 4)", 4),
        ("default(0, 4)", 0),
        ("true and not false", True),
        ("null is none", True),
        ("1 < n <= 3", True),
        ("'a' if n > 2 else 'b'", "a"),
        ("one.deep.x['y'] + 1", 8),
        ("one.__class__", "key"),
        ("list[-1]", 2),
        ("list[:2]", [3, 1]),
        ("[x * 2 for x in list if x > 1]", [6, 4]),
        ("{k: 1 for k in one.tags}", {"a": 1, "b": 1}),
        ("{'a': n, **{'b': 2}}", {"a": 3, "b": 2}),
        ("(1, 'a')", [1, "a"]),
        ("{2, 1, 2}", [2, 1]),
        ("n in {1, 3}", True),
        ("{1: 'x'}", {"1": "x"}),
        ("'ab' * 2", "abab"),
        ("2 * 'ab'", "abab"),
        ("7 % 4 + 7 // 4 + 2 ** 3", 12),
        ("2 ** -1", 0.5),
        ("f'{word} for {n}'", "Tea for 3"),
        ("  n  ", 3),
        ("large[3][0]", "x"),
    ],
)
def test_what_expressions_come_to(expression: str, value: Any) -> None:
    came = evaluate(expression, VARIABLES)
    assert came == value
    assert type(came) is type(value)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "   ",
        "1 +",
        "a; b",
        "x := 1",
        "\0",
        "unknown",
        "unknown(1)",
        "int('1')",
        "set(list)",
        "__import__('os')",
        "lambda: 1",
        "word.upper()",
        "''.__class__",
        "().__class__.__bases__",
        "one.nothing",
        "none.x",
        "list[9]",
        "one['x']",
        "list.append(1)",
        "'{0.__class__}'.format(1)",
        "f'{n:>9}'",
        "'%99999999d' % n",
        "1 / 0",
        "n + word",
        "number('x')",
        "number('nan')",
        "1e308 * 10",
        "(-1) ** 0.5",
        "1j",
        "b'a'",
        "...",
        "len",
        "len(n)",
        "sum([list], [])",
        "json('{')",
        "text(1j)",
        "'\\ud800'",
        "min([])",
        "sorted([1, 'a'])",
        "split('a', '')",
        "[x for x in n]",
        "[1 for x.y in [1]]",
        "await n",
    ],
)
def test_what_they_refuse(expression: str) -> None:
    with pytest.raises(ExpressionInvalid):
        evaluate(expression, VARIABLES)


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 4000000",
        "9 ** 9 ** 9",
        "1 << 99999",
        "10 ** 2000",
        "'a' * 999999",
        "'aaaa' * 99999 * 99999",
        "[0] * 1000 * 1000",
        "[[0] * 1000] * 1000",
        "sum([[0] for x in range(1000)], [])",
        "[1 for a in range(1000) for b in range(1000)]",
        "max([len([1 for b in range(1000)]) for a in range(1000)])",
        "join(range(1000), 'a' * 99999)",
        "join([join(['a' * 99999 for x in range(99)]) for y in range(99)])",
        "[" * 90 + "0" + "]" * 90 + "[0]" * 91,
        "(" * 2_000 + ")" * 2_000,
        "-" * 4_000 + "1",
        "1" + "+1" * 2_400 + "+",
        "1 + " * 1_200 + "unknown",
        "n" * 5_001,
        "[large, large, large, large, large, large, large]",
    ],
)
def test_nothing_takes_long(expression: str) -> None:
    with pytest.raises(ExpressionInvalid) as refused:
        evaluate(expression, VARIABLES)
    assert len(refused.value.detail) < 500


def test_values_that_multiply_are_stopped() -> None:
    expression = "[0]"
    for level in range(30):
        expression = f"[[a{level}, a{level}, a{level}, a{level}] for a{level} in {expression}]"
    with pytest.raises(ExpressionInvalid, match="too large"):
        evaluate(expression, {})


def test_what_is_evaluated_changes_nothing() -> None:
    known = names_of("list + set + dict + tuple")
    evaluate("1", {})
    assert names_of("list + set + dict + tuple") == known == {"list", "set", "dict", "tuple"}


def test_conditions_hold_or_not() -> None:
    assert holds("n > 2", VARIABLES)
    assert not holds("none", VARIABLES)
    assert not holds("[]", VARIABLES)


def test_the_names_of_an_expression() -> None:
    assert names_of("[x + y for x in lists if len(x)] and true") == {"y", "lists"}
    assert names_of("nodes.fetch.items[index]") == {"nodes", "index"}
    assert names_of("{k: v for (k, v) in pairs}") == {"pairs"}
    assert names_of("1") == set()
    with pytest.raises(ExpressionInvalid, match="at character"):
        names_of("1 1")


def test_the_expressions_of_a_template() -> None:
    assert template_expressions("{{ a }} and {{b.c}}, {{") == ["a", "b.c"]
    assert template_expressions("none } }} {x}") == []
    assert template_expressions("{{}}") == [""]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ n }}", 3),
        (" {{ list }}\n", [3, 1, 2]),
        ("{{ n }}{{ n }}", "33"),
        ("n is {{ n }}, of {{ list }}; {{ none }}", "n is 3, of [3,1,2]; null"),
        ("{{ n", "{{ n"),
        ("}} {{ n }}", "}} 3"),
        ("{{\n word\n}}", "Tea"),
        ("plain", "plain"),
        ("", ""),
        (7, 7),
        (None, None),
        ({"a": "{{ n }}", "{{ n }}": ["{{ word }}!", True]}, {"a": 3, "{{ n }}": ["Tea!", True]}),
    ],
)
def test_templates_are_filled_and_keep_types(template: Any, value: Any) -> None:
    assert render(template, VARIABLES) == value


def test_templates_are_bounded() -> None:
    assert render("{{" * 25_000, {}) == "{{" * 25_000
    assert template_expressions("{{" * 25_000) == []
    with pytest.raises(ExpressionInvalid, match="may be filled"):
        render("{{ text }} " * 5_000, {"text": "x" * 10_000})
    nested: Any = "{{ 1 }}"
    for _ in range(5_000):
        nested = [nested]
    with pytest.raises(ExpressionInvalid, match="nested too deeply"):
        render(nested, {})


SIGNS = [*"()[]{}.,:+-*/%<>=!&|~^@'\" \n\\", "**", "//", "<<", "{{", "}}"]
VALUES = ["0", "9", "99999", "1e300", "n", "word", "list", "one", "none", "large", "x", "true"]
CALLS = ["len(", "join(", "range(", "text(", "json(", "sorted(", "sum(", "split(", "default("]
WORDS = [" for x in ", " if ", " else ", " and ", " not ", " in ", "lambda ", "__class__", "await "]
TOKENS = st.sampled_from([*SIGNS, *VALUES, *CALLS, *WORDS, "'a'", "f'", "..."])


@given(st.lists(TOKENS, max_size=30).map("".join) | st.text(max_size=60))
@settings(max_examples=400, deadline=2_000)
def test_rubbish_is_refused_and_nothing_else(expression: str) -> None:
    with suppress(ExpressionInvalid):
        evaluate(expression, VARIABLES)
    with suppress(ExpressionInvalid):
        holds(expression, VARIABLES)
    with suppress(ExpressionInvalid):
        render(expression, VARIABLES)
    for one in [expression, *template_expressions(f"{{{{{expression}}}}}")]:
        with suppress(ExpressionInvalid):
            assert all(names_of(one))
