"""The cost views. Knows nothing of HTTP."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.costs.naming import provider_and_model
from muster.domains.work.costs.repository import CostRepository
from muster.domains.work.costs.schemas import (
    AgentCosts,
    Amounts,
    CostRange,
    CostsByAgent,
    CostsByProvider,
    CostSummary,
    DailyCosts,
    DailyRange,
    DayCosts,
    PeriodCosts,
    Periods,
    ProviderCosts,
)
from muster.kernel import clock
from muster.kernel.errors import FieldError, Invalid

MOST_DAYS = 366
_DAY = timedelta(days=1)
_SUMS = (
    "cost",
    "calls",
    "unpriced_calls",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
)


class TooManyDays(Invalid):
    code, title = "too_many_days", f"At most {MOST_DAYS} days are listed at once"


class CostService:
    """What a project spent."""

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self._costs = CostRepository(session, project_id)

    async def summary(self, params: CostRange) -> CostSummary:
        today = _midnight(clock.now())
        month = today.replace(day=1)
        periods = Periods(
            today=await self._period(today, today + _DAY),
            yesterday=await self._period(today - _DAY, today),
            this_month=await self._period(month, _month_after(month)),
            previous_month=await self._period((month - _DAY).replace(day=1), month),
        )
        total = Amounts.model_validate(await self._costs.total(params.bounds))
        return CostSummary(
            currency="USD",
            total_cost=total.cost,
            this_month_cost=periods.this_month.cost,
            previous_month_cost=periods.previous_month.cost,
            today_cost=periods.today.cost,
            unpriced_calls=total.unpriced_calls,
            total=total,
            periods=periods,
        )

    async def _period(self, start: datetime, end: datetime) -> PeriodCosts:
        row = await self._costs.total((start, end))
        return PeriodCosts(started_at=start, ended_at=end, **_sums([row]))

    async def daily(self, params: DailyRange) -> DailyCosts:
        start, end = _days(params)
        found = {row.day: row for row in await self._costs.by_day((start, end))}
        days: list[DayCosts] = []
        day = _midnight(start)
        while day < end:
            row = found.get(day.strftime("%Y-%m-%d"))
            days.append(DayCosts(date=day.date(), **_sums([row] if row else [])))
            day += _DAY
        return DailyCosts(currency="USD", days=days, **_whole(days))

    async def by_agent(self, params: CostRange) -> CostsByAgent:
        rows = await self._costs.by_agent(params.bounds)
        whole = _sums(rows)["cost"]
        agents = [
            AgentCosts(
                agent_id=row.agent_id,
                agent_name=row.agent_name,
                share=_share(row.cost, whole),
                **_sums([row]),
            )
            for row in rows
        ]
        # By what is shown: sums of the database differ by the dust of adding floats.
        agents.sort(key=lambda costs: (-costs.cost, -costs.calls, costs.agent_id or ""))
        return CostsByAgent(currency="USD", agents=agents, **_whole(agents))

    async def by_provider(self, params: CostRange) -> CostsByProvider:
        rows = await self._costs.by_provider(params.bounds)
        whole = _sums(rows)["cost"]
        by_name: dict[str, list[Row[Any]]] = {}
        models: dict[str, dict[str, None]] = {}
        for row in rows:
            name, model = provider_and_model(row.provider, row.model, row.name)
            by_name.setdefault(name, []).append(row)
            models.setdefault(name, {})[model] = None
        providers = [
            ProviderCosts(
                provider=name,
                models=list(models[name]),
                share=_share(_sums(group)["cost"], whole),
                **_sums(group),
            )
            for name, group in by_name.items()
        ]
        providers.sort(key=lambda costs: (-costs.cost, -costs.calls, costs.provider))
        return CostsByProvider(currency="USD", providers=providers, **_whole(providers))


def _sums(rows: Iterable[Row[Any]]) -> dict[str, Any]:
    rows = list(rows)
    return {name: sum(getattr(row, name) for row in rows) for name in _SUMS}


def _whole(parts: Iterable[Amounts]) -> dict[str, Any]:
    parts = list(parts)
    return {
        "total_cost": sum(part.cost for part in parts),
        "unpriced_calls": sum(part.unpriced_calls for part in parts),
    }


def _share(cost: float, whole: float) -> float:
    return round(cost * 100 / whole, 2) if whole else 0.0


def _days(params: DailyRange) -> tuple[datetime, datetime]:
    """Return the bounds of the days that are asked for."""
    since, until = params.bounds
    end = until or _midnight(clock.now()) + _DAY
    start = since or _midnight(end - timedelta(microseconds=1)) - (params.days - 1) * _DAY
    if end - start > MOST_DAYS * _DAY:
        text = f"the time between 'from' and 'to' must be {MOST_DAYS} days at most"
        raise TooManyDays(errors=[FieldError("from", text)])
    return start, end


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _month_after(month: datetime) -> datetime:
    return (month + 31 * _DAY).replace(day=1)
