"""Facts about code reviews. Code and comments stay in the review: an event may travel far."""

from typing import ClassVar

from muster.platform.events import Event


class _ReviewFact(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "review"
    review_id: str
    title: str
    agent_id: str | None


class ReviewSubmittedFact(_ReviewFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "review.submitted"
    run_id: str | None


class ReviewApproved(_ReviewFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "review.approved"


class ReviewRejected(_ReviewFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "review.rejected"


class ReviewCommented(_ReviewFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "review.commented"
    comment_id: str
    file: str | None
    line: int | None


class ReviewDeleted(_ReviewFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "review.deleted"
