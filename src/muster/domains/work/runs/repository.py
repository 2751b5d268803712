"""Queries on runs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL
from muster.domains.work.journal import (
    ACTIVE,
    FINAL,
    JournalReader,
    Run,
    Step,
    StepRow,
    StepStatus,
)
from muster.domains.work.runs.errors import RunNotFound
from muster.domains.work.runs.schemas import ExecutionList, HistoryList
from muster.kernel.db import Repository
from muster.kernel.paging import Rows

_FINAL = [status.value for status in FINAL]


_DEEPEST = 8
_MOST_CHILDREN = 500


async def steps_below(
    session: AsyncSession, run: Run, limit: int
) -> list[tuple[Run, Sequence[StepRow]]]:
    """Return the runs that a run started, those that they started and so on, with their steps.

    Args:
        session: A session of the database.
        run: The run at the top.
        limit: How many steps there may be in all.
    """
    found: list[tuple[Run, Sequence[StepRow]]] = []
    parents = [run.id]
    for _ in range(_DEEPEST):
        children = select(Run).where(Run.parent_run_id.in_(parents)).order_by(Run.created_at)
        runs = (await session.scalars(children.limit(_MOST_CHILDREN))).all()
        for child in runs:
            rows = await JournalReader(session).steps(child.id, limit=limit)
            limit -= len(rows)
            found.append((child, rows))
            if limit <= 0:
                return found
        parents = [child.id for child in runs]
        if not parents:
            break
    return found


class RunRepository(Repository[Run]):
    """The runs of one project."""

    model, missing = Run, RunNotFound

    async def search(self, params: ExecutionList) -> Rows[Run]:
        """Return runs that match the filters, newest first."""
        query = self._filtered(self.query(), params)
        if params.origin:
            query = query.where(Run.origin == params.origin)
        if params.execution_type:
            query = query.where(Run.kind == params.execution_type)
        for kinds, target in (
            (("task", EXTERNAL), params.task_id),
            (("crew",), params.crew_id),
            (("workflow",), params.workflow_id),
        ):
            if target:
                query = query.where(Run.kind.in_(kinds), Run.target_id == target)
        if params.parent_run_id:
            query = query.where(Run.parent_run_id == params.parent_run_id)
        if params.created_from:
            query = query.where(Run.created_at >= params.created_from)
        if params.created_to:
            query = query.where(Run.created_at < params.created_to)
        return await self.page(query, params, (Run.created_at, True))

    async def history(self, params: HistoryList) -> Rows[Run]:
        """Return ended runs that match the filters, newest first."""
        query = self._filtered(self.query().where(Run.status.in_(_FINAL)), params)
        return await self.page(query, params, (Run.created_at, True))

    async def progress(self, run: Run) -> tuple[int | None, list[str]]:
        """Return how many nodes of the plan have ended, and what is under way; None for agents."""
        if "plan" not in run.snapshot:
            return None, []
        # What a tool answered is the end of its node, except where that is an error: those are
        # tried again, or have a step of the node's own.
        answered = Step.key.startswith("tn.") & (Step.status == StepStatus.OK.value)
        ended = select(func.count()).where(
            Step.run_id == run.id, Step.key.startswith("n.") | answered
        )
        under_way = select(Run.name).where(
            Run.parent_run_id == run.id, Run.status.in_([status.value for status in ACTIVE])
        )
        done = await self.session.scalar(ended)
        return done or 0, list(await self.session.scalars(under_way.order_by(Run.created_at)))

    def _filtered(self, query: Select[Any], params: ExecutionList | HistoryList) -> Select[Any]:
        if params.status:
            query = query.where(Run.status.in_(params.status.split(",")))
        if params.agent_id:
            query = query.where(Run.agent_id == params.agent_id)
        if params.search:
            text = params.search
            query = query.where(or_(Run.name.icontains(text, autoescape=True), Run.id == text))
        return query
