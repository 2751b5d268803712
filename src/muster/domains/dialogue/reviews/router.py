"""HTTP surface of code reviews."""

from typing import Annotated

from fastapi import Depends, Query

from muster.domains.catalogue.agents import AgentAmbiguous, AgentNotFound
from muster.domains.dialogue.reviews.errors import (
    ReviewDecided,
    ReviewEmpty,
    ReviewFileUnknown,
    ReviewFull,
    ReviewNotFound,
    ReviewTooLarge,
)
from muster.domains.dialogue.reviews.models import CodeReview, CodeReviewComment
from muster.domains.dialogue.reviews.schemas import (
    ReviewBrief,
    ReviewCommentCreate,
    ReviewCommentOut,
    ReviewCreate,
    ReviewDecision,
    ReviewFileOut,
    ReviewList,
    ReviewOut,
)
from muster.domains.dialogue.reviews.service import ReviewService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/code-reviews", tag="Code reviews")

CanRead = Annotated[Caller, requires(Scope.REVIEWS_READ)]
CanWrite = Annotated[Caller, requires(Scope.REVIEWS_WRITE)]
CanDecide = Annotated[Caller, requires(Scope.REVIEWS_DECIDE)]


async def _reader(session: Reading, caller: CanRead) -> ReviewService:
    return ReviewService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> ReviewService:
    return ReviewService(session, caller)


async def _decider(caller: CanDecide, session: Writing) -> ReviewService:
    return ReviewService(session, caller)


Reader = Annotated[ReviewService, Depends(_reader)]
Writer = Annotated[ReviewService, Depends(_writer)]
Decider = Annotated[ReviewService, Depends(_decider)]

_DECISIONS = problems(ReviewNotFound, ReviewDecided)


@router.get("", response_model=Page[ReviewBrief], responses=problems(AgentNotFound, AgentAmbiguous))
async def list_code_reviews(
    reviews: Reader, params: Annotated[ReviewList, Query()]
) -> Rows[CodeReview]:
    """List code reviews, newest first, without the code."""
    return await reviews.list(params)


@router.post(
    "",
    status_code=201,
    responses=problems(AgentNotFound, AgentAmbiguous, ReviewEmpty, ReviewTooLarge),
)
async def submit_code_review(reviews: Writer, body: ReviewCreate) -> ReviewOut:
    """Submit a change of code for people to decide about.

    Agents do so with their tool `submit_code_review`, and see the decision with `review_status`.
    """
    return await _whole(reviews, await reviews.submit(body))


@router.get("/{review_id}", responses=problems(ReviewNotFound))
async def get_code_review(reviews: Reader, review_id: str) -> ReviewOut:
    """Get a code review with its code, the comments and the decision."""
    return await _whole(reviews, await reviews.get(review_id))


@router.delete("/{review_id}", status_code=204, responses=problems(ReviewNotFound))
async def delete_code_review(reviews: Writer, review_id: str) -> None:
    """Delete a code review with its comments."""
    await reviews.delete(review_id)


@router.post("/{review_id}/approve", responses=_DECISIONS)
async def approve_code_review(
    reviews: Decider, review_id: str, body: ReviewDecision | None = None
) -> ReviewOut:
    """Approve a change. Whoever decides first decides, once and for all."""
    found = await reviews.decide(review_id, "approved", body or ReviewDecision())
    return await _whole(reviews, found)


@router.post("/{review_id}/reject", responses=_DECISIONS)
async def reject_code_review(
    reviews: Decider, review_id: str, body: ReviewDecision | None = None
) -> ReviewOut:
    """Reject a change. The agent reads the comment and may submit another."""
    found = await reviews.decide(review_id, "rejected", body or ReviewDecision())
    return await _whole(reviews, found)


@router.post(
    "/{review_id}/comment",
    status_code=201,
    response_model=ReviewCommentOut,
    responses=problems(ReviewNotFound, ReviewDecided, ReviewFileUnknown, ReviewFull),
)
async def comment_code_review(
    reviews: Writer, review_id: str, body: ReviewCommentCreate
) -> CodeReviewComment:
    """Say something about a change, or about a line of one of its files, before it is decided."""
    return await reviews.comment(review_id, body)


async def _whole(reviews: ReviewService, review: CodeReview) -> ReviewOut:
    brief = ReviewBrief.model_validate(review).model_dump()
    comments = [ReviewCommentOut.model_validate(c) for c in await reviews.comments(review)]
    files = [ReviewFileOut.model_validate(file) for file in review.files]
    return ReviewOut(**brief, diff=review.diff, files=files, comments=comments)
