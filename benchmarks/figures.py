"""What a benchmark found: figures, the bars they are held against, and the verdicts."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Bar:
    """What is promised of a figure: less than so much, so much or more, or exactly so much."""

    kind: Literal["<", "≥", "="]
    limit: float

    def is_met(self, value: float) -> bool:
        """Tell whether a value keeps the promise."""
        if self.kind == "=":
            return value == self.limit
        return value < self.limit if self.kind == "<" else value >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value. `note` says what a reader must know to read it right."""

    name: str
    value: float
    unit: str
    bar: Bar | None = None
    note: str = ""

    @property
    def shown(self) -> str:
        return f"{_number(self.value)} {self.unit}".rstrip()

    @property
    def shown_bar(self) -> str:
        if self.bar is None:
            return ""
        return f"{self.bar.kind} {_number(self.bar.limit)} {self.unit}".rstrip()

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        return None if self.bar is None else self.bar.is_met(self.value)

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        if self.met:
            return "meets the bar"
        missing = abs(self.value - self.bar.limit)
        return f"misses the bar by {_number(missing)} {self.unit}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Return the figure with its verdict."""
        return {**asdict(self), "met": self.met, "verdict": self.verdict}


@dataclass(slots=True, kw_only=True)
class Report:
    """What one benchmark found. `how` tells what was done; `notes` what happened on the way."""

    name: str
    title: str
    how: str
    figures: list[Figure] = field(default_factory=list[Figure])
    notes: list[str] = field(default_factory=list[str])
    seconds: float = 0.0

    def add(self, name: str, value: float, unit: str, bar: Bar | None = None) -> None:
        """Add a figure."""
        self.figures.append(Figure(name=name, value=value, unit=unit, bar=bar))

    def as_json(self) -> dict[str, Any]:
        """Return the report as values of JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "how": self.how,
            "figures": [figure.as_json() for figure in self.figures],
            "notes": self.notes,
            "seconds": round(self.seconds, 1),
        }


def less_than(limit: float) -> Bar:
    """Promise less than `limit`."""
    return Bar("<", limit)


def at_least(limit: float) -> Bar:
    """Promise `limit` or more."""
    return Bar("≥", limit)


def none_at_all() -> Bar:
    """Promise that there is nothing to count."""
    return Bar("=", 0)


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
