"""Queries on code reviews."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import defer

from muster.domains.dialogue.reviews.errors import ReviewNotFound, ReviewSubmitted
from muster.domains.dialogue.reviews.models import CodeReview, CodeReviewComment
from muster.domains.dialogue.reviews.schemas import ReviewList
from muster.kernel.db import Repository
from muster.kernel.paging import Rows

PENDING = "pending"


class ReviewRepository(Repository[CodeReview]):
    """The code reviews of one project."""

    model, missing, taken = CodeReview, ReviewNotFound, ReviewSubmitted

    async def search(self, params: ReviewList, agent_id: str | None) -> Rows[CodeReview]:
        """Return code reviews that match the filters, newest first, without their code."""
        query = self.query().options(defer(CodeReview.diff), defer(CodeReview.files))
        if params.status:
            query = query.where(CodeReview.status == params.status)
        if agent_id:
            query = query.where(CodeReview.agent_id == agent_id)
        if params.search:
            columns = (
                CodeReview.title,
                CodeReview.description,
                CodeReview.repository,
                CodeReview.branch,
            )
            text = params.search
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        return await self.page(query, params, (CodeReview.created_at, True))

    async def find_origin(self, origin: str) -> CodeReview | None:
        """Return the code review that a step of a run has submitted."""
        query = self.query().where(CodeReview.origin == origin)
        found: CodeReview | None = await self.session.scalar(query)
        return found

    async def held(self, id: str) -> CodeReview:
        """Return a code review that nobody else changes until the unit of work ends."""
        query = self.query().where(CodeReview.id == id)
        held = query.with_for_update().execution_options(populate_existing=True)
        found: CodeReview | None = await self.session.scalar(held)
        if found is None:
            raise ReviewNotFound
        return found

    async def comments(self, review: CodeReview) -> Sequence[CodeReviewComment]:
        """Return what was said about a change, oldest first."""
        order = (CodeReviewComment.created_at, CodeReviewComment.id)
        return (await self.session.scalars(_comments(review).order_by(*order))).all()

    async def count_comments(self, review: CodeReview) -> int:
        """Return how often something was said about a change."""
        query = select(func.count()).select_from(_comments(review).subquery())
        return await self.session.scalar(query) or 0

    async def comment(self, review: CodeReview, **values: Any) -> CodeReviewComment:
        """Add a comment to a code review."""
        comment = CodeReviewComment(review_id=review.id, **values)
        self.session.add(comment)
        await self.session.flush()
        return comment


def _comments(review: CodeReview) -> Select[Any]:
    return select(CodeReviewComment).where(CodeReviewComment.review_id == review.id)
