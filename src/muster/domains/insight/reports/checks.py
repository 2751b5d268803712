"""How a report learns whether the log of events is as it was recorded.

The audit log is at hand in a process only once, so that this is put together with it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCheck:
    """The outcome of recomputing the project's log of events."""

    valid: bool
    events: int
    checkpoints: int
    head_seq: int
    head_hash: str
    first_bad_seq: int | None
    problem: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """A signed state of the log of events; `note` is what was signed, with the signature."""

    origin: str
    size: int
    root: str
    key_id: str
    public_key: str
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChecks:
    """Both are asked with the id of a project.

    Args:
        check_events: Recomputes the log of the project's events.
        checkpoint: Newest signed checkpoint of that log; else None, and why there is none.
    """

    check_events: Callable[[str], Awaitable[EventCheck]]
    checkpoint: Callable[[str], Awaitable[tuple[CheckpointFacts | None, str | None]]]
