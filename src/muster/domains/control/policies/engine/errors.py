"""What is wrong with a policy or a manifest, place by place."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (`policies[2].params.field`), what, and in which line."""

    path: str
    message: str
    line: int | None = None


class PolicyInvalid(ValueError):
    """A policy or a manifest that is not loaded, with everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(f"{p.path}: {p.message}" for p in self.problems))


class PatternInvalid(ValueError):
    """A regular expression that cannot be used; the message says why."""


class Unjudgeable(Exception):
    """A value that a rule cannot judge; the policy counts as violated, whatever it is made of."""


class MemoryOutdated(ValueError):
    """A memory that was kept for other policies; it must be replayed."""
