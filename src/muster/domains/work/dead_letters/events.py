"""Facts about dead letters."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFact(Event):
    """Shared fields of the facts about dead letters."""

    subject: ClassVar[str] = "dead_letter"
    dead_letter_id: str
    run_id: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterAdded(DeadLetterFact):
    type: ClassVar[str] = "dead_letter.added"
    source: str
    reason: str | None
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterWasRetried(DeadLetterFact):
    type: ClassVar[str] = "dead_letter.retried"
    retry_run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterRemoved(DeadLetterFact):
    type: ClassVar[str] = "dead_letter.removed"
