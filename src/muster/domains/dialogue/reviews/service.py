"""What one can do with code reviews. Knows nothing of HTTP."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import find_agent
from muster.domains.dialogue.reviews.errors import (
    ReviewDecided,
    ReviewEmpty,
    ReviewFileUnknown,
    ReviewFull,
    ReviewTooLarge,
)
from muster.domains.dialogue.reviews.events import (
    ReviewApproved,
    ReviewCommented,
    ReviewDeleted,
    ReviewRejected,
    ReviewSubmittedFact,
)
from muster.domains.dialogue.reviews.models import CodeReview, CodeReviewComment
from muster.domains.dialogue.reviews.repository import PENDING, ReviewRepository
from muster.domains.dialogue.reviews.schemas import (
    LONGEST_IN_ALL,
    MAX_COMMENTS,
    ReviewCommentCreate,
    ReviewCreate,
    ReviewDecision,
    ReviewList,
)
from muster.kernel import clock
from muster.kernel.errors import FieldError
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller


class ReviewService:
    """Use cases of code reviews, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._reviews = ReviewRepository(session, caller.project_id)

    async def list(self, params: ReviewList) -> Rows[CodeReview]:
        agent_id = None
        if params.agent_id:
            project_id = self._caller.project_id
            agent = await find_agent(self._session, project_id, params.agent_id, deleted=True)
            agent_id = agent.id
        return await self._reviews.search(params, agent_id)

    async def get(self, review_id: str) -> CodeReview:
        return await self._reviews.get(review_id)

    async def comments(self, review: CodeReview) -> Sequence[CodeReviewComment]:
        return await self._reviews.comments(review)

    async def submit(
        self, body: ReviewCreate, *, run_id: str | None = None, origin: str | None = None
    ) -> CodeReview:
        """Submit a change for review; what a step of a run has submitted already is returned."""
        if origin and (known := await self._reviews.find_origin(origin)):
            return known
        _require_reviewable(body)
        agent_id, name = None, self._caller.name
        if body.agent_id is not None:
            agent = await find_agent(self._session, self._caller.project_id, body.agent_id)
            agent_id, name = agent.id, agent.name
        values = body.model_dump(exclude={"agent_id"})
        review = await self._reviews.add(
            **values,
            file_count=len(body.files),
            agent_id=agent_id,
            run_id=run_id,
            origin=origin,
            submitted_by_id=self._caller.id,
            submitted_by_name=name,
        )
        events.record(
            self._session, self._caller, ReviewSubmittedFact(**_about(review), run_id=run_id)
        )
        return review

    async def decide(
        self, review_id: str, status: Literal["approved", "rejected"], body: ReviewDecision
    ) -> CodeReview:
        """Approve or reject a change; whoever decides first decides."""
        review = await self._reviews.held(review_id)
        if review.status != PENDING:
            raise ReviewDecided(
                f"{review.decided_by_name} has {review.status} it already, and a decision cannot "
                "be changed; submit the change again."
            )
        await self._reviews.update(
            review,
            status=status,
            decided_by_id=self._caller.id,
            decided_by_name=self._caller.name,
            decided_at=clock.now(),
            decision_comment=body.comment,
        )
        fact = ReviewApproved if status == "approved" else ReviewRejected
        events.record(self._session, self._caller, fact(**_about(review)))
        return review

    async def comment(self, review_id: str, body: ReviewCommentCreate) -> CodeReviewComment:
        """Say something about a change that is not decided yet."""
        review = await self._reviews.held(review_id)
        if review.status != PENDING:
            raise ReviewDecided(
                f"It is {review.status} already and takes no more comments; submit the change "
                "again."
            )
        _require_known_file(review, body)
        if await self._reviews.count_comments(review) >= MAX_COMMENTS:
            raise ReviewFull(f"There are {MAX_COMMENTS} comments; decide, or submit it in parts.")
        comment = await self._reviews.comment(
            review,
            body=body.body,
            file=body.file,
            line=body.line,
            author_id=self._caller.id,
            author_name=self._caller.name,
        )
        fact = ReviewCommented(
            **_about(review), comment_id=comment.id, file=comment.file, line=comment.line
        )
        events.record(self._session, self._caller, fact)
        return comment

    async def delete(self, review_id: str) -> None:
        review = await self._reviews.held(review_id)
        await self._reviews.delete(review)
        events.record(self._session, self._caller, ReviewDeleted(**_about(review)))


def _require_reviewable(body: ReviewCreate) -> None:
    parts = [body.diff, *(part for file in body.files for part in (file.content, file.diff))]
    if not any(part and part.strip() for part in parts):
        raise ReviewEmpty(
            "Give the change as a diff, or files with their content or diff.",
            errors=[FieldError("diff", "is needed where no file has content")],
        )
    if sum(len(part) for part in parts if part) > LONGEST_IN_ALL:
        raise ReviewTooLarge(
            f"Diff and files may have {LONGEST_IN_ALL} characters in all; submit it in parts."
        )


def _require_known_file(review: CodeReview, body: ReviewCommentCreate) -> None:
    if body.file is None:
        if body.line is not None:
            text = "goes with a file"
            raise ReviewFileUnknown(f"line {text}; name it.", errors=[FieldError("line", text)])
        return
    # A diff names its files in ways that differ, so they are looked up only where there are files.
    if review.diff is None and body.file not in {file["path"] for file in review.files}:
        text = "is none of the files of this review"
        raise ReviewFileUnknown(f"file {text}.", errors=[FieldError("file", text)])


def _about(review: CodeReview) -> dict[str, Any]:
    return {"review_id": review.id, "title": review.title, "agent_id": review.agent_id}
