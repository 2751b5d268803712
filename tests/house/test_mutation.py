"""The maker of mutants: what it breaks, what it leaves alone, and what its configuration names."""

import tomllib
from pathlib import Path

import pytest
from tools.mutants import mutants_of
from tools.plain_tests import load
from tools.weaker_patterns import weaker

ROOT = Path(__file__).resolve().parents[2]
MODULE = '''
"""A docstring."""
import re
from typing import cast

WORDS = re.compile("a|b")
KINDS = {"one", "two words"}


def judge(found: "list[int]", most: int = 3) -> str | None:
    """Another."""
    if not found or len(found) > most:
        return cast("str", found[1:])
    return None
'''


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "module.py"
    path.write_text(MODULE)
    return path


def test_what_is_broken(module: Path) -> None:
    names = {mutant.name for mutant in mutants_of(module)}
    assert {
        "WORDS: WORDS = re.compile('a|b') -> WORDS = re.compile('a')",
        "WORDS: WORDS = re.compile('a|b') -> WORDS = re.compile('b')",
        "KINDS: KINDS = {'one', 'two words'} -> KINDS = {'one'}",
        "KINDS: KINDS = {'one', 'two words'} -> KINDS = {'one_', 'two words'}",
        "judge: not found or len(found) > most -> not found or len(found) >= most",
        "judge: not found or len(found) > most -> not found and len(found) > most",
        "judge: not found or len(found) > most -> found or len(found) > most",
        "judge: not found or len(found) > most -> len(found) > most",
        "judge: not found or len(found) > most -> True",
        "judge: return cast('str', found[1:]) -> return None",
        "judge: return cast('str', found[1:]) -> return cast('str', found[2:])",
        "judge: return cast('str', found[1:]) -> return cast('str', found[:])",
        "judge: return None -> return {}",
    } <= names
    assert not any("docstring" in name or "Another" in name for name in names)
    assert not any("str_" in name or "list[int]_" in name or "words_" in name for name in names)


def test_a_mutant_differs_in_one_thing(module: Path) -> None:
    count = len(mutants_of(module))
    for number in range(count):
        mutant = mutants_of(module)[number]
        names: dict[str, object] = {}
        exec(mutant.compile(), names)
        assert callable(names["judge"])


def test_patterns_lose_a_part() -> None:
    assert set(weaker("(a+|b)$")) == {"(a|b)$", "(b)$", "(a+)$", "(a+|b)"}
    assert set(weaker(r"[\dx]{2}")) == {r"[\d]{2}", "[x]{2}", r"[\dx]"}


def test_plain_tests_are_those_of_pytest() -> None:
    assert len(load("tests/control/test_rules_compound.py")) == 19
    with pytest.raises(TypeError, match="is marked"):
        load("tests/control/test_policy_templates.py")


def test_the_configuration_names_what_exists() -> None:
    configuration = tomllib.loads((ROOT / "tools/mutation.toml").read_text())
    assert all((ROOT / path).exists() for path in configuration["modules"])
    assert all(list(ROOT.glob(pattern)) for pattern in configuration["tests"])
    for path, listed in configuration["equivalent"].items():
        names = {mutant.name for mutant in mutants_of(ROOT / path)}
        assert listed.keys() <= names
        assert all(listed.values())
