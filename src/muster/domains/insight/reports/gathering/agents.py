"""Agents of a period, and the runs that they had."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL, Agent
from muster.domains.insight.reports.document import AgentRow, Agents, KindCount
from muster.domains.insight.reports.extent import Extent
from muster.domains.insight.reports.gathering.steps import Amounts, StepTotals
from muster.domains.work.journal import Run

MOST_AGENTS = 1_000


async def names_of(session: AsyncSession, project_id: str) -> dict[str, str]:
    """Return the names of all agents of a project, deleted ones too."""
    query = select(Agent.id, Agent.name).where(Agent.project_id == project_id)
    return {row.id: row.name for row in await session.execute(query)}


async def read_runs(
    session: AsyncSession, extent: Extent
) -> tuple[list[KindCount], Counter[str | None]]:
    """Count the runs that were created in the period: by kind and status, and by agent."""
    query = (
        select(Run.kind, Run.status, Run.agent_id, func.count().label("runs"))
        .where(extent.own(Run.project_id, Run.agent_id), extent.during(Run.created_at))
        .group_by(Run.kind, Run.status, Run.agent_id)
    )
    kinds: Counter[tuple[str, str]] = Counter()
    by_agent: Counter[str | None] = Counter()
    for row in await session.execute(query):
        kinds[row.kind, row.status] += row.runs
        by_agent[row.agent_id] += row.runs
    return kind_counts(kinds), by_agent


def kind_counts(kinds: Counter[tuple[str, str]]) -> list[KindCount]:
    """Return counts in the order of kinds, the most frequent status first."""
    ordered = sorted(kinds.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    return [KindCount(kind=kind, status=status, count=n) for (kind, status), n in ordered]


async def read_agents(
    session: AsyncSession, extent: Extent, runs: Counter[str | None], steps: StepTotals
) -> Agents:
    """Return the agents that existed in the period, those that did most first."""
    query = select(
        Agent.id, Agent.key, Agent.name, Agent.kind, Agent.environment, Agent.spec, Agent.deleted_at
    ).where(
        extent.chosen(),
        Agent.created_at < extent.end,
        or_(Agent.deleted_at.is_(None), Agent.deleted_at >= extent.begin),
    )
    found: Sequence[Any] = (await session.execute(query)).all()
    ordered = sorted(found, key=lambda row: (-steps.by_agent[row.id], row.name, row.id))
    rows = [_row(row, runs, steps) for row in ordered[:MOST_AGENTS]]
    return Agents(total=len(found), rows=rows)


def _row(row: Any, runs: Counter[str | None], steps: StepTotals) -> AgentRow:
    spec: Mapping[str, Any] = row.spec
    amounts = steps.costs_by_agent.get(row.id) or Amounts()
    return AgentRow(
        id=row.id,
        key=row.key,
        name=row.name,
        kind=row.kind,
        is_external=row.kind == EXTERNAL,
        risk_classification=str(spec.get("risk_classification") or "unclassified"),
        environment=row.environment,
        owner=spec.get("owner_id"),
        is_active=row.deleted_at is None,
        runs=runs[row.id],
        steps=steps.by_agent[row.id],
        model_calls=amounts.calls,
        cost=amounts.cost,
    )
