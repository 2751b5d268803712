"""What goes between those who want something delivered, the courier, and those who deliver."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something to tell: which event it is, and what receivers are told. No secrets."""

    event_type: str
    message: dict[str, Any]
    event_id: str | None = None
    event_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A delivery in the hands of one process. `id` is the same for each attempt."""

    id: str
    project_id: str
    source_kind: str
    source_id: str
    event_id: str | None
    event_type: str
    message: dict[str, Any]
    number: int
    max_attempts: int
    claim: str


class Postponed(Exception):
    """Not now, and it counts as no attempt: the receiver is known to be away.

    Args:
        reason: Why, for people.
        until: When to look again.
    """

    def __init__(self, reason: str, until: datetime) -> None:
        super().__init__(reason)
        self.reason, self.until = reason, until
