"""What the tools do by which agents submit code for review and see what came of it."""

from typing import Any

from pydantic import ValidationError

from muster.adapters.tools.base import ToolInputInvalid, ToolOutcome
from muster.domains.catalogue.agents import find_agent
from muster.domains.catalogue.tools import Call, ToolContext
from muster.domains.dialogue.reviews.errors import ReviewNotFound
from muster.domains.dialogue.reviews.repository import ReviewRepository
from muster.domains.dialogue.reviews.schemas import ReviewCreate
from muster.domains.dialogue.reviews.service import ReviewService
from muster.kernel import clock
from muster.kernel.db import Database
from muster.platform.access import Caller


def review_acts(database: Database) -> dict[str, Call]:
    """Return the tools of this slice, by name."""

    async def submit(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
        agent_id = context.require_agent()
        try:
            body = ReviewCreate.model_validate({**arguments, "agent_id": agent_id})
        except ValidationError as error:
            names = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors()}))
            raise ToolInputInvalid(f"These are not valid: {names}.") from None
        async with database.write() as session:
            agent = await find_agent(session, context.project_id, agent_id)
            reviews = ReviewService(session, Caller.system(context.project_id, agent.name))
            review = await reviews.submit(
                body, run_id=context.run_id, origin=context.idempotency_key
            )
        return ToolOutcome(
            content={"review_id": review.id, "status": review.status},
            properties={"target": {"code_review_id": review.id}},
        )

    async def status(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
        agent_id = context.require_agent()
        async with database.read() as session:
            reviews = ReviewRepository(session, context.project_id)
            review = await reviews.find(arguments["review_id"])
            if review is None or review.agent_id != agent_id:
                raise ReviewNotFound(
                    "You have submitted no code review with this id; use the review_id that "
                    "submit_code_review answered."
                )
            comments = await reviews.comments(review)
        return ToolOutcome(
            content={
                "review_id": review.id,
                "title": review.title,
                "status": review.status,
                "decided_by": review.decided_by_name,
                "decision_comment": review.decision_comment,
                "comments": [
                    {
                        "from": comment.author_name,
                        "body": comment.body,
                        "file": comment.file,
                        "line": comment.line,
                        "said_at": clock.iso(comment.created_at),
                    }
                    for comment in comments
                ],
            }
        )

    return {"submit_code_review": submit, "review_status": status}
