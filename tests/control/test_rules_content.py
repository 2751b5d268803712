"""Rules about where a step reaches and what it carries."""

from typing import Any

import pytest

from tests.control.rules_setting import judged, policy, step, violated

ALLOWED = {"allowed_domains": ["Example.com", "api.internal"]}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com", False),
        ("EXAMPLE.com", False),
        ("api.example.com", False),
        ("a.b.example.com", False),
        ("api.internal", False),
        ("internal", True),
        ("evilexample.com", True),
        ("example.com.evil.org", True),
        ("https://example.com/", True),
        ("example.com:443", True),
        (None, False),
        ("", False),
        (7, True),
    ],
)
def test_domains_of_the_second_generation(host: Any, *, expected: bool) -> None:
    for kind in ("resource", "message", "exec"):
        intended = step(kind, properties={"target": {"host": host}})
        assert violated("domain_allowlist", ALLOWED, intended) is expected


def test_domains_without_a_target() -> None:
    assert not violated("domain_allowlist", ALLOWED, step("resource"))
    argument = step("resource", input={"target.host": "evil.org"})
    assert not violated("domain_allowlist", ALLOWED, argument)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com", False),
        ("example.com.", False),
        ("API.Example.COM:8443", False),
        ("https://api.example.com/path?q=1#x", False),
        ("https://user:secret@example.com/", False),
        ("//example.com/x", False),
        ("example.com/path", False),
        ("evil.org", True),
        ("https://example.com@evil.org/", True),
        ("https://evil.org/example.com", True),
        ("https://evil.org\\@example.com/", True),
        ("https://evil.org#@example.com", True),
        ("https://evil.org?@example.com", True),
        ("example.com\nevil.org", True),
        ("example.com evil.org", True),
        ("evil.org\t.example.com", True),
        ("evil.org .example.com", True),
        ("evil.org\x01.example.com", True),
        ("evil.org\x7f.example.com", True),
        ("example.com_", True),
        ("https://[bad", True),
        ("https:///path", True),
        ("a..b", True),
        (None, True),
        ("", True),
        (7, True),
    ],
)
def test_domains_of_the_third_generation(host: Any, *, expected: bool) -> None:
    given = {**ALLOWED, "target_kinds": ["step.resource", "step.message"]}
    intended = step("message", properties={"target": {"host": host}})
    assert violated("domain_allowlist", given, intended, schema="3") is expected
    elsewhere = step("exec", properties={"target": {"host": host}})
    assert not violated("domain_allowlist", given, elsewhere, schema="3")


def test_international_domains() -> None:
    given = {"allowed_domains": ["xn--bcher-kva.example"], "target_kinds": ["step.resource"]}
    intended = step("resource", properties={"target.host": "https://bücher.example/"})
    assert not violated("domain_allowlist", given, intended, schema="3")


PATTERNS = {"patterns": [r"\b\d{3}-\d{2}-\d{4}\b", r"[a-z]+@[a-z]+\.com"]}


@pytest.mark.parametrize("schema", ["2", "3"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"text": "my number is 123-45-6789."}, True),
        ({"text": "write to ann@example.com"}, True),
        ({"text": "nothing here"}, False),
        ({"123-45-6789": "a name is no value"}, False),
        ({"deep": {"list": [1, {"x": "123-45-6789"}]}}, True),
        ({"deep": {"123-45-6789": 1}}, True),
        ("plain 123-45-6789", True),
        (["123-45-6789"], True),
        (None, False),
        ({}, False),
    ],
)
def test_personal_data(schema: str, content: Any, *, expected: bool) -> None:
    for kind in ("exec", "message:POST", "model"):
        found = violated("pii_in_request", PATTERNS, step(kind, input=content), schema=schema)
        assert found is expected
    assert not violated("pii_in_request", PATTERNS, step("exec", output=content), schema=schema)


def test_personal_data_is_not_repeated() -> None:
    result = judged(policy("pii_in_request", PATTERNS), step("exec", input={"x": "ann@site.com"}))
    assert result.violation_details == {
        "message": "the input contains personal data",
        "pattern_index": 1,
    }


def test_patterns_see_letters_beyond_ascii() -> None:
    assert violated("pii_in_request", {"patterns": ["Bücher"]}, step("exec", input={"x": "Bücher"}))


def test_no_input_has_no_text() -> None:
    for pattern in ("null", "_"):
        assert not violated("pii_in_request", {"patterns": [pattern]}, step("exec"))


def test_digits_of_the_third_generation_are_ascii() -> None:
    for schema, expected in (("2", True), ("3", False)):
        intended = step("exec", input={"x": "٣"})
        found = violated("pii_in_request", {"patterns": [r"\d"]}, intended, schema=schema)
        assert found is expected


def circular() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


@pytest.mark.parametrize(
    "content",
    [{"x": "y" * 100_001}, {"x": object()}, {"x": circular()}, {"x": deep()}],
    ids=["long", "no JSON", "circular", "deep"],
)
def test_what_cannot_be_searched_is_a_violation(content: Any) -> None:
    intended = step("exec", input=content)
    assert violated("pii_in_request", PATTERNS, intended)
    condition = {"rule_type": "pii_in_request", "params": PATTERNS}
    assert violated("not", {"condition": condition}, intended)
