"""What budgets ask the journal: what was spent, and what became of calls that hold something."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.budgets import Ended, Spending, Spent
from muster.domains.work.costs.calls import IS_CALL
from muster.domains.work.journal import FINAL, Run, Step


class JournalSpending:
    """Answers from the journal."""

    async def spent(self, session: AsyncSession, spending: Spending) -> Spent:
        """Return what was spent; only calls whose price is known have a cost."""
        unpriced = func.count().filter(Step.cost.is_(None))
        query = select(func.coalesce(func.sum(Step.cost), 0.0), unpriced).where(
            Step.project_id == spending.project_id, IS_CALL
        )
        if spending.since is not None:
            query = query.where(Step.ended_at >= spending.since)
        if spending.agent_id is not None:
            query = query.where(Step.agent_id == spending.agent_id)
        if spending.key_id is not None:
            query = query.where(
                Step.run_id.in_(_with_children(Run.started_by_id == spending.key_id))
            )
        if spending.run_id is not None:
            query = query.where(Step.run_id.in_(_with_children(Run.id == spending.run_id)))
        dollars, calls = (await session.execute(query)).one()
        return Spent(float(dollars or 0.0), int(calls))

    async def calls(
        self, session: AsyncSession, run_ids: Collection[str], since: datetime
    ) -> Sequence[Ended]:
        """Return the model calls of runs that ended since a moment."""
        query = select(Step.run_id, Step.key, Step.ended_at, Step.cost).where(
            Step.run_id.in_(run_ids), IS_CALL, Step.ended_at >= since
        )
        return [Ended(*row) for row in (await session.execute(query)).all()]

    async def over(self, session: AsyncSession, run_ids: Collection[str]) -> set[str]:
        """Return which of the runs have ended or are gone."""
        final = [status.value for status in FINAL]
        query = select(Run.id).where(Run.id.in_(run_ids), Run.status.not_in(final))
        return set(run_ids) - set((await session.scalars(query)).all())


def _with_children(roots: ColumnElement[bool]) -> Any:
    """Return the ids of runs with those of the agents that they asked."""
    tree = select(Run.id).where(roots).cte("tree", recursive=True)
    tree = tree.union(select(Run.id).where(Run.parent_run_id == tree.c.id))
    return select(tree.c.id)
