"""The time in a time zone."""

import pytest
import time_machine

from muster.adapters.tools.base import ToolInputInvalid
from muster.adapters.tools.clock_tool import current_time


@time_machine.travel("2026-03-29T23:30:05Z", tick=False)
def test_the_time_in_a_zone() -> None:
    assert current_time() == {
        "now": "2026-03-29T23:30:05+00:00",
        "date": "2026-03-29",
        "time": "23:30:05",
        "weekday": "Sunday",
        "timezone": "UTC",
        "unix": 1774827005,
    }
    berlin = current_time("Europe/Berlin")
    assert berlin["now"] == "2026-03-30T01:30:05+02:00"
    assert berlin["weekday"] == "Monday"
    assert berlin["unix"] == 1774827005


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("zzzzzzzz", "Use a name like"),
        ("../../etc/passwd", "."),
    ],
)
def test_unknown_zones_are_told_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ToolInputInvalid, match=hint):
        current_time(name)
