"""What the model is told, and what runs are called."""

from datetime import UTC, datetime
from typing import Any

import pytest

from muster.domains.catalogue.agents import AgentSpec
from muster.domains.work.runs.naming import generated_name, run_name, telling_words
from muster.domains.work.runs.prompting import build_prompt, with_defaults
from muster.kernel.placeholders import fill

BEGUN = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)


def prompt(inputs: dict[str, Any], **spec: Any) -> tuple[str, str]:
    made = build_prompt(AgentSpec(name="Ada", **spec), inputs, BEGUN)
    return made.system, made.user


def test_the_system_turn() -> None:
    system, _ = prompt(
        {"kind": "keen", "n": 3},
        role="a {kind} reader",
        goal="read {n} books of {unknown}",
        backstory="Long ago.",
        instructions='Answer {"json": {n}}.',
    )
    assert system == (
        "You are a keen reader.\n\nYour goal: read 3 books of {unknown}\n\nLong ago.\n\n"
        'Answer {"json": 3}.\n\nToday is 2026-05-04.'
    )
    assert prompt({}, inject_date=False)[0] == "You are Ada, a helpful assistant."
    assert prompt({}, date_format="%d.%m.")[0] == "Today is 04.05.."


@pytest.mark.parametrize(
    ("inputs", "spec", "user"),
    [
        ({"topic": "bolts"}, {"prompt": "About {topic}"}, "About bolts"),
        ({"prompt": "Why?"}, {}, "Why?"),
        ({"question": "Why?"}, {}, "Why?"),
        ({"prompt": "Why?", "more": [1, {"a": True}]}, {}, 'prompt: Why?\nmore: [1,{"a":true}]'),
        ({"prompt": 5}, {}, "prompt: 5"),
        ({"other": "x"}, {}, "other: x"),
        ({}, {}, "Begin."),
    ],
)
def test_the_user_turn(inputs: dict[str, Any], spec: dict[str, Any], user: str) -> None:
    assert prompt(inputs, **spec)[1] == user


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert fill("{a}{b}", {"a": "{b}", "b": "x"}) == "{b}x"


def test_an_agents_own_values_are_for_its_placeholders() -> None:
    spec = AgentSpec(role="{topic} expert of {place}", inputs={"topic": "bolts", "odd": "x"})
    assert with_defaults(spec, {"place": "Bern"}) == {"topic": "bolts", "place": "Bern"}
    assert with_defaults(spec, {"topic": "nuts"}) == {"topic": "nuts"}


def test_settings_of_the_model() -> None:
    assert AgentSpec(temperature=50).settings == {"temperature": 1.0}
    own = AgentSpec(temperature=50, model_settings={"temperature": 0.3, "seed": 1})
    assert own.settings == {"temperature": 0.3, "seed": 1}
    assert AgentSpec.model_validate(own) is own
    assert AgentSpec().settings == {}


def test_names_of_runs() -> None:
    assert run_name("Ada", {"prompt": "What is the NASA budget of 2026?", "n": 3}) == (
        "Ada - NASA Budget 2026"
    )
    assert run_name("Ada", {"n": 3}) == "Ada"
    assert telling_words("the of and") == []
    assert generated_name([]) == "New Run"
    assert generated_name(["warehouse"]) == "Warehouse Run"
    assert generated_name(["buy nails", "nails and screws for walls in houses now"]) == (
        "Buy Nails Screws Walls"
    )
