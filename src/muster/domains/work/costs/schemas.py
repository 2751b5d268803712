"""Queries and response bodies of the cost views. Amounts are US dollars.

A call whose price nobody knows is in no amount; each answer says how many those are.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from muster.kernel.schemas import Out, UtcTime

_FIRST_YEAR, _LAST_YEAR = 1970, 9000

_ISO = re.compile(r"\d{4}-\d\d-\d\d")


def _written_out(value: Any) -> Any:
    """Refuse bare numbers, which could be seconds or milliseconds or a year."""
    if isinstance(value, str) and not _ISO.match(value):
        raise ValueError("must be a time such as 2026-11-01T00:00:00Z, or a day such as 2026-11-01")
    return value


Moment = Annotated[datetime, BeforeValidator(_written_out)]


def _without_dust(amount: float) -> float:
    """Round to billionths of a dollar: what is smaller comes from adding up floats."""
    return round(amount, 9)


Dollars = Annotated[float, AfterValidator(_without_dust)]
Unpriced = Annotated[
    int,
    Field(
        description="Calls whose price is not known: models without a published price, and calls "
        "that failed before the provider said what they used. They are in no amount here."
    ),
]


class CostRange(BaseModel):
    """What time is looked at; without bounds all of it."""

    model_config = ConfigDict(populate_by_name=True)

    since: Annotated[
        Moment | None, Field(alias="from", description="Not before this moment, or day in UTC.")
    ] = None
    until: Annotated[
        Moment | None, Field(alias="to", description="Before this moment, or day in UTC.")
    ] = None

    @field_validator("since", "until")
    @classmethod
    def _computable(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            raise ValueError(f"must be in a year between {_FIRST_YEAR} and {_LAST_YEAR}")
        return moment

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.since and self.until and _utc(self.since) >= _utc(self.until):
            raise ValueError("'from' must be before 'to'")
        return self

    @property
    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Both ends, with a zone."""
        return (
            _utc(self.since) if self.since else None,
            _utc(self.until) if self.until else None,
        )


class DailyRange(CostRange):
    """Which days are looked at; `from` and `to` go before `days`."""

    days: Annotated[int, Field(ge=1, le=366, description="The last so many days, in UTC.")] = 30


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Amounts(Out):
    """What some calls of models used and cost."""

    cost: Dollars
    calls: int
    unpriced_calls: Unpriced
    input_tokens: int
    output_tokens: int
    cached_tokens: Annotated[int, Field(description="Of the input tokens.")]
    reasoning_tokens: Annotated[int, Field(description="Of the output tokens.")]


class PeriodCosts(Amounts):
    """What one period cost."""

    started_at: UtcTime
    ended_at: UtcTime


class Periods(Out):
    """Costs by period, in UTC."""

    today: PeriodCosts
    yesterday: PeriodCosts
    this_month: PeriodCosts
    previous_month: PeriodCosts


class CostSummary(Out):
    """What was spent on the whole, and by period."""

    currency: Literal["USD"]
    total_cost: Dollars
    this_month_cost: Dollars
    previous_month_cost: Dollars
    today_cost: Dollars
    unpriced_calls: Unpriced
    total: Annotated[Amounts, Field(description="Within `from` and `to`, where they are given.")]
    periods: Annotated[Periods, Field(description="Whatever `from` and `to` are.")]


class DayCosts(Amounts):
    """What one day cost."""

    date: date


class DailyCosts(Out):
    """What each day cost, oldest first; days without a call are there too."""

    currency: Literal["USD"]
    days: list[DayCosts]
    total_cost: Dollars
    unpriced_calls: Unpriced


class AgentCosts(Amounts):
    """What one agent cost."""

    agent_id: Annotated[str | None, Field(description="Null for calls of no agent.")]
    agent_name: Annotated[str | None, Field(description="Null where it is not known any more.")]
    share: Annotated[float, Field(description="Percent of the whole cost.")]


class CostsByAgent(Out):
    """What each agent cost, dearest first."""

    currency: Literal["USD"]
    agents: list[AgentCosts]
    total_cost: Dollars
    unpriced_calls: Unpriced


class ProviderCosts(Amounts):
    """What one provider cost."""

    provider: Annotated[str, Field(description="`unknown` where the journal names none.")]
    models: Annotated[list[str], Field(description="Models that were called.")]
    share: Annotated[float, Field(description="Percent of the whole cost.")]


class CostsByProvider(Out):
    """What each provider cost, dearest first."""

    currency: Literal["USD"]
    providers: list[ProviderCosts]
    total_cost: Dollars
    unpriced_calls: Unpriced
