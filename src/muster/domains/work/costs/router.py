"""HTTP surface of the cost views."""

from typing import Annotated

from fastapi import Depends, Query

from muster.domains.work.costs.schemas import (
    CostRange,
    CostsByAgent,
    CostsByProvider,
    CostSummary,
    DailyCosts,
    DailyRange,
)
from muster.domains.work.costs.service import CostService, TooManyDays
from muster.kernel.http import Reading, Router, problems
from muster.platform.access import Caller, Scope, requires

router = Router("/cost", tag="Costs")

CanRead = Annotated[Caller, requires(Scope.BUDGETS_READ)]


async def _costs(session: Reading, caller: CanRead) -> CostService:
    return CostService(session, caller.project_id)


Costs = Annotated[CostService, Depends(_costs)]
Range = Annotated[CostRange, Query()]


@router.get("/summary")
async def get_cost_summary(costs: Costs, params: Range) -> CostSummary:
    """Get what the project spent: on the whole, today, this month and the one before.

    All figures are sums over the journal. Days and months are those of UTC.
    """
    return await costs.summary(params)


@router.get("/daily", responses=problems(TooManyDays))
async def get_daily_costs(costs: Costs, params: Annotated[DailyRange, Query()]) -> DailyCosts:
    """Get what each day cost, oldest first, days without a call included."""
    return await costs.daily(params)


@router.get("/by-agent")
async def get_costs_by_agent(costs: Costs, params: Range) -> CostsByAgent:
    """Get what each agent cost, dearest first; agents that were deleted too."""
    return await costs.by_agent(params)


@router.get("/by-provider")
async def get_costs_by_provider(costs: Costs, params: Range) -> CostsByProvider:
    """Get what each provider of models cost, dearest first."""
    return await costs.by_provider(params)
