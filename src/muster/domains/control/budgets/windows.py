"""The windows in which budgets count: months and days in UTC, and runs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Window:
    """One window; a run's has neither a beginning nor an end that a clock knows."""

    key: str
    start: datetime | None
    end: datetime | None


def window_of(period: str, moment: datetime, run_id: str) -> Window:
    """Return the window of a period at a moment, or the one of a run."""
    if period == "run":
        return Window(run_id, None, None)
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return Window(midnight.strftime("%Y-%m-%d"), midnight, midnight + timedelta(days=1))
    first = midnight.replace(day=1)
    return Window(first.strftime("%Y-%m"), first, _next_month(first))


def _next_month(first: datetime) -> datetime:
    if first.month == _DECEMBER:
        return first.replace(year=first.year + 1, month=1)
    return first.replace(month=first.month + 1)
