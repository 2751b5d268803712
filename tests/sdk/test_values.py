"""Values as they leave the process."""

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

import pydantic
import pytest

from muster.sdk.values import dumps, plain
from tests.sdk.conftest import Agent, Person


class Color(Enum):
    RED = "red"


class Size(StrEnum):
    BIG = "big"


@dataclasses.dataclass
class Point:
    x: int


class Model(pydantic.BaseModel):
    when: date


class Broken:
    def __str__(self) -> str:
        raise RuntimeError


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        ("a\0b", "a\ufffdb"),
        ("\ud800", "?"),
        (2**53, str(2**53)),
        (float("nan"), "nan"),
        (1.5, 1.5),
        (Color.RED, "red"),
        (Size.BIG, "big"),
        ((1, {2}), [1, [2]]),
        ({1: Point(2), "\ud800": 0}, {"1": {"x": 2}, "?": 0}),
        (Model(when=date(2026, 5, 4)), {"when": "2026-05-04"}),
        (datetime(2026, 5, 4, tzinfo=UTC), "2026-05-04T00:00:00+00:00"),
        (timedelta(seconds=1.5), 1.5),
        (memoryview(b"abc"), "[3 bytes]"),
        (Decimal("1.10"), "1.10"),
        (Broken(), "[Broken: RuntimeError]"),
        (Model, str(Model)),
    ],
)
def test_plain(value: Any, shown: Any) -> None:
    assert plain(value, None, 1000) == shown


def test_what_has_no_end_and_what_is_too_long() -> None:
    looped = dumps(plain(LOOP, None, 10_000))
    assert b"too deep" in looped
    cut = plain({"text": "ä" * 1000}, None, 100)
    assert cut["truncated"] is True
    assert cut["bytes"] == 2011
    assert cut["preview"].startswith('{"text":"ä')
    assert len(cut["preview"].encode()) <= 100


def test_redaction(agent: Agent, people: Person, caplog: pytest.LogCaptureFixture) -> None:
    def redact(value: Any) -> Any:
        if value == "explode":
            raise ValueError("secret")
        return json.loads(json.dumps(value).replace("secret", "***"))

    muster = agent(redact=redact)
    people.forbid("step.exec", "block")
    with pytest.raises(RuntimeError), muster.task(id="t-1", inputs="a secret") as task:  # noqa: PT012
        with task.step("step.self", "a", verb="GET", input={"k": "secret"}) as step:
            step.output = "explode"
        raise RuntimeError("the secret is out")
    assert muster.flush()
    told = json.dumps(people.steps("t-1"))
    assert "secret" not in told
    steps = people.steps("t-1")
    assert steps[0]["input"] == "a ***"
    assert steps[1]["output"] == "[withheld: redaction failed]"
    assert steps[2]["error"]["message"] == "the *** is out"
    assert "redact failed" in caplog.text


def test_everything_is_stored(agent: Agent, people: Person) -> None:
    muster = agent(max_value_bytes=10 * 2**20)
    with muster.task(id="t-1", inputs=[LOOP, "\0", "\ud800", 2**70, float("inf")]) as task:
        # Four of these are more than one call takes.
        for _ in range(4):
            task.log("step.exec", "long", output="x" * (5 * 2**20))
        task.log("step.exec", "n" * 300, properties={"a": {"b": float("nan")}})
    assert muster.flush(60)
    assert muster.health.rejected == 0
    steps = people.steps("t-1")
    assert len(steps) == 7
    assert len(steps[1]["output"]) == 5 * 2**20
    assert people.is_valid("t-1")
