"""Tools' sources are judged and described without being run."""

import pytest

from muster.adapters.sandbox import Problem, SourceInvalid, check_source, signature_schema
from muster.adapters.sandbox.source import MAXIMUM_SOURCE_BYTES

SPOILT = "raise SystemExit('must not be executed')\n"


@pytest.mark.parametrize(
    "source",
    [
        SPOILT + "def run(): pass",
        "async def run(a, *, b=1, **rest): return a",
        "def run():\n    def inner():\n        yield 1\n    return list(inner())",
    ],
)
def test_usable_sources(source: str) -> None:
    assert check_source(source) == []


@pytest.mark.parametrize(
    ("source", "line", "part"),
    [
        ("def run(:", 1, "Syntax error"),
        ("x = 1\n\ny = = 2", 3, "Syntax error"),
        ("def walk(): pass", 1, "no function `run`"),
        ("class A:\n    def run(self): pass", 1, "no function `run`"),
        ("run = print", 1, "define `def run"),
        ("\ndef run(a, /, b): pass", 2, "Parameter `a`"),
        ("def run(*rest): pass", 1, "`*rest`"),
        ("\ndef run():\n    yield 1", 2, "not yield"),
        ("def run(): pass\0", 1, "null"),
        ("x = " + "-" * 90_000 + "1\ndef run(): pass", 1, "nesting"),
        ("#" * (MAXIMUM_SOURCE_BYTES + 1), 1, "larger than 256 KB"),
    ],
)
def test_problems_name_line_and_cause(source: str, line: int, part: str) -> None:
    problems = check_source(source)
    assert [problem.line for problem in problems] == [line]
    assert part in problems[0].message
    with pytest.raises(SourceInvalid) as caught:
        signature_schema(source)
    assert caught.value.status == 422
    assert caught.value.errors[0].field == f"source:{line}"


def test_problem_is_a_value() -> None:
    assert check_source("") == [
        Problem(1, "There is no function `run` at the top level; define `def run(...)`.")
    ]


SIGNATURE = '''
from typing import *
def run(
    text: str,
    count: int = 3,
    share: float = -0.5,
    deep: bool = False,
    tags: list[str] = ["a"],
    table: "dict[str, int]" = {},
    mode: Literal["fast", "slow", 3] = "fast",
    note: Optional[str] = None,
    either: int | None | str = 1,
    both: typing.Union[int, List] = 1,
    described: Annotated[int, Range(3), "How many"] = 1,
    bare: Annotated[int, Range(3)] = 1,
    anything=1,
    unknown: Thing | None = make(),
    pair: tuple[int, int] = (1, 2),
    mixed: dict = {1: 2},
    endless: float = 1e999,
    broken: "int |" = 0,
    *,
    needed: dict[str, Any],
    called: frozenset([1]) = {"a"},
):
    """Does a thing."""
'''


def test_schema_of_a_signature() -> None:
    assert signature_schema(SPOILT + SIGNATURE) == {
        "type": "object",
        "description": "Does a thing.",
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer", "default": 3},
            "share": {"type": "number", "default": -0.5},
            "deep": {"type": "boolean", "default": False},
            "tags": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
            "table": {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "default": {},
            },
            "mode": {"enum": ["fast", "slow", 3], "default": "fast"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "either": {
                "anyOf": [{"type": "integer"}, {"type": "null"}, {"type": "string"}],
                "default": 1,
            },
            "both": {"anyOf": [{"type": "integer"}, {"type": "array"}], "default": 1},
            "described": {"type": "integer", "description": "How many", "default": 1},
            "bare": {"type": "integer", "default": 1},
            "anything": {"default": 1},
            "unknown": {},
            "pair": {},
            "mixed": {"type": "object"},
            "endless": {"type": "number"},
            "broken": {"default": 0},
            "needed": {"type": "object"},
            "called": {},
        },
        "required": ["text", "needed"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("parameter", ["arguments", "args: dict", "inputs: dict[str, int]"])
def test_one_dict_takes_everything(parameter: str) -> None:
    assert signature_schema(f"def run({parameter}): pass") == {
        "type": "object",
        "properties": {},
        "additionalProperties": True,
    }


@pytest.mark.parametrize("parameter", ["args: str", "data: dict", "args, b", "args, **c"])
def test_other_parameters_are_named(parameter: str) -> None:
    schema = signature_schema(f"def run({parameter}): pass")
    assert schema["required"][0] == parameter.split(":", maxsplit=1)[0].split(",", maxsplit=1)[0]
    assert schema["additionalProperties"] is ("**" in parameter)
