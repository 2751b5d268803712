"""Costs of a period, with the figures of the cost views."""

from collections.abc import Mapping
from datetime import date

from muster.domains.insight.reports.document import CostRow, Costs, DayRow
from muster.domains.insight.reports.gathering.steps import Amounts, StepTotals


def costs_of(steps: StepTotals, names: Mapping[str, str]) -> Costs:
    """Return what models cost, dearest first."""
    return Costs(
        currency="USD",
        total=_row(None, "Total", steps.costs),
        by_agent=_ordered(
            [
                _row(agent_id, names.get(agent_id or ""), amounts)
                for agent_id, amounts in steps.costs_by_agent.items()
            ]
        ),
        by_provider=_ordered([_row(None, n, a) for n, a in steps.costs_by_provider.items()]),
        by_model=_ordered([_row(None, n, a) for n, a in steps.costs_by_model.items()]),
    )


def days_of(steps: StepTotals) -> list[DayRow]:
    """Return the days on which steps ended, oldest first."""
    days: list[DayRow] = []
    for day in sorted(steps.by_day):
        amounts = steps.costs_by_day.get(day) or Amounts()
        days.append(
            DayRow(
                date=date.fromisoformat(day),
                steps=steps.by_day[day],
                model_calls=amounts.calls,
                unpriced_calls=amounts.unpriced_calls,
                cost=amounts.cost,
            )
        )
    return days


def _ordered(rows: list[CostRow]) -> list[CostRow]:
    return sorted(rows, key=lambda r: (-r.cost, -r.calls, r.id or "", r.name or ""))


def _row(id: str | None, name: str | None, amounts: Amounts) -> CostRow:
    return CostRow(id=id, name=name, **amounts.as_dict())
