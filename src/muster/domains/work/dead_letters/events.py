"""Facts about dead letters."""

from typing import ClassVar

from muster.platform.events import Event


class DeadLetterFact(Event, frozen=True, kw_only=True):
    """Shared fields of the facts about dead letters."""

    subject: ClassVar[str] = "dead_letter"
    dead_letter_id: str
    run_id: str
    name: str
    kind: str


class DeadLetterAdded(DeadLetterFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "dead_letter.added"
    source: str
    reason: str | None
    attempts: int


class DeadLetterWasRetried(DeadLetterFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "dead_letter.retried"
    retry_run_id: str | None


class DeadLetterRemoved(DeadLetterFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "dead_letter.removed"
