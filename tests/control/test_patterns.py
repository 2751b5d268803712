"""Regular expressions in linear time, held against the standard library's."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.domains.control.policies.engine.errors import PatternInvalid, Unjudgeable
from muster.domains.control.policies.engine.regex import compile_pattern

PATTERNS = [
    "",
    "ab",
    "a|b|",
    r"\b\d{3}-\d{2}\b",
    r"^.{3,}$",
    r"(?i)AbC|é",
    r"a(?i:B)c",
    r"(?i:a(?-i:B))c",
    r".*(>>?|tee\s+(-a\s+)?|\bcp\s+).*(/etc/|(~|\$HOME)/\.ssh)",
    r"[^a-c]x|é+",
    r"(?m)^a$",
    r"(?m)^$",
    r"a\Z|b$",
    r"\Aa",
    r"\Bb\B",
    r"(?:ab?){2,4}",
    r"(?s:.)b",
    r"x*?y+?",
    r"()*a",
    r"(?:a*)*b",
    r"[\w.]+@\w+",
    r"(?x) a  b # c",
    r"\D\W\S",
    r"a{0}b{2}",
    r"(?a)\w\b",
]
TEXTS = st.text(alphabet="abcABCxy \n-1é_/$~>.@", max_size=10)


@pytest.mark.parametrize("dotall", [False, True])
@pytest.mark.parametrize("anchored", [False, True])
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_agrees_with_the_standard_library(text: str, *, anchored: bool, dotall: bool) -> None:
    for source in PATTERNS:
        pattern = compile_pattern(source, anchored=anchored, dotall=dotall)
        plain = re.compile(source, re.DOTALL if dotall else 0)
        expected = bool((plain.match if anchored else plain.search)(text))
        assert pattern.matches(text) is expected, source


PIECES = st.recursive(
    st.sampled_from(["a", "b", ".", r"\w", r"\b", "^", "$", "[ab]", r"\n", ""]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+?", "?", "{1,3}", "{2}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(source=PIECES, text=st.text(alphabet="ab \n", max_size=6), anchored=st.booleans())
def test_agrees_on_any_pattern(source: str, text: str, *, anchored: bool) -> None:
    plain = re.compile(source)
    expected = bool((plain.match if anchored else plain.search)(text))
    assert compile_pattern(source, anchored=anchored).matches(text) is expected


@pytest.mark.parametrize("text", ["ab", "ab\n", "xab", "٣", "é b"])
def test_the_stricter_dialect(text: str) -> None:
    for source, wanted in ((r"ab$", text.endswith("ab")), (r"\d", False), (r"é\b", False)):
        assert compile_pattern(source, strict=True).matches(text) is wanted
    assert compile_pattern(r"(?m)b$", strict=True).matches("ab\nc")


@pytest.mark.parametrize(
    "source",
    ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){12}$", "(?:a?){40}a{40}[bc]", r"(\w+\s?)*$"],
)
def test_no_pattern_is_slow(source: str) -> None:
    pattern = compile_pattern(source, anchored=True)
    assert not pattern.matches("a" * 20_000 + "!")


def test_states_are_forgotten_in_time() -> None:
    pattern = compile_pattern("(?:a|b)*a(?:a|b){9}[cd]")
    letters = "".join("ab"[(i * i // 7 + i // 3) % 2] for i in range(60_000))
    assert not pattern.matches(letters)
    many = "".join(map(chr, range(0x20000, 0x20000 + 40_000)))
    for prefix in ("", "aa"):
        assert not pattern.matches(f"{prefix}{many}")
        assert not pattern.matches("".join(f"a{char}" for char in many))
        assert pattern.matches("aaaaaaaaaac")
        states = {pattern._first, *pattern._states.values()}
        assert sum(len(state.moves) for state in states) <= 50_001


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("(", "is no regular expression: missing"),
        ("[", "is no regular expression"),
        ("*a", "nothing to repeat"),
        ("(?z)", "unknown extension"),
        ("(?L)a", "is no regular expression"),
        (r"(a)\1", "linear time"),
        ("a(?=b)", "linear time"),
        ("(?<!a)b", "linear time"),
        ("(?>a)b", "linear time"),
        ("a++b", "linear time"),
        (r"(a)?(?(1)b|c)", "linear time"),
        (r"(?a:\w)\w", "ASCII and Unicode|its flags"),
        ("a" * 2_001, "more than 2000"),
        ("a{600}", "too large"),
        ("(?:a{30}){30}", "too large"),
        ("(" * 1_000 + ")" * 1_000, "too large|size"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_refused(source: str, message: str, *, strict: bool) -> None:
    with pytest.raises(PatternInvalid, match=message):
        compile_pattern(source, strict=strict)


def test_odd_patterns_warn_nobody() -> None:
    assert compile_pattern("[[a]").matches("[")


def test_long_texts() -> None:
    pattern = compile_pattern("b$")
    assert pattern.matches("a" * 99_999 + "b")
    with pytest.raises(Unjudgeable, match="100000"):
        pattern.matches("a" * 100_000 + "b")
