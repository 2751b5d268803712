"""Facts about code reviews. Code and comments stay in the review: an event may travel far."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReviewFact(Event):
    subject: ClassVar[str] = "review"
    review_id: str
    title: str
    agent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSubmittedFact(_ReviewFact):
    type: ClassVar[str] = "review.submitted"
    run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewApproved(_ReviewFact):
    type: ClassVar[str] = "review.approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRejected(_ReviewFact):
    type: ClassVar[str] = "review.rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCommented(_ReviewFact):
    type: ClassVar[str] = "review.commented"
    comment_id: str
    file: str | None
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDeleted(_ReviewFact):
    type: ClassVar[str] = "review.deleted"
