"""Request and response bodies of budgets. Amounts are US dollars."""

from typing import Annotated, Any, Literal

from pydantic import MISSING, AfterValidator, AliasChoices, BeforeValidator, Field

from muster.domains.control.budgets.models import Budget, BudgetUsage
from muster.domains.control.budgets.money import dollars_of
from muster.domains.control.budgets.rules import Enforcement, Period, Scope
from muster.domains.control.budgets.windows import Window
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

_HIGHEST = 1_000_000_000
_WHOLE = 100


def _as_percents(values: Any) -> Any:
    """Take shares such as 0.8 for percents; whoever means 80 percent writes either."""
    if not isinstance(values, list):
        return values
    return [
        round(value * _WHOLE) if isinstance(value, float) and 0 < value <= 1 else value
        for value in values  # pyright: ignore[reportUnknownVariableType]
    ]


def _once_each(values: list[int]) -> list[int]:
    return sorted(set(values))


def _a_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - what Pydantic tells the caller
    return value


Limit = Annotated[
    float,
    BeforeValidator(_a_number),
    Field(ge=0, le=_HIGHEST, allow_inf_nan=False, description="US dollars.", examples=[50.0]),
]
Thresholds = Annotated[
    list[Annotated[int, Field(ge=1, le=_WHOLE)]],
    BeforeValidator(_as_percents),
    AfterValidator(_once_each),
    Field(
        max_length=20,
        description="Percents of the limit that are told when they are crossed, once in a window.",
        examples=[[80, 100]],
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Research, this month"])]
Enforced = Annotated[
    Enforcement,
    Field(description="`block` refuses calls that do not fit and ends the run; `warn` lets them."),
]


class BudgetList(ListParams):
    """Filters of the list of budgets."""

    scope: Annotated[Scope | None, Field(description="Only of this scope.")] = None
    target_id: Annotated[str | None, Field(max_length=64, description="Only of this target.")] = (
        None
    )


class BudgetCreate(In):
    """A limit on what may be spent."""

    name: Name
    scope: Annotated[
        Scope,
        Field(description="Whose calls count: of the project, one agent, one API key, or a run."),
    ] = "project"
    target_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="The agent or API key; for runs one run, or absent for each run by itself.",
        ),
    ] = None
    period: Annotated[
        Period, Field(description="A month or day in UTC, or each run by itself.")
    ] = "month"
    limit: Annotated[Limit, Field(validation_alias=AliasChoices("limit", "limit_usd"))]
    thresholds: Annotated[
        Thresholds, Field(validation_alias=AliasChoices("thresholds", "alert_thresholds"))
    ] = [80, 100]  # noqa: RUF012 - Pydantic copies it
    enforcement: Enforced = "block"
    enabled: bool = True


class BudgetUpdate(In):
    """Changes of a budget. What it counts is fixed; delete it and make another."""

    name: Name | MISSING = MISSING
    limit: Annotated[
        Limit | MISSING, Field(validation_alias=AliasChoices("limit", "limit_usd"))
    ] = MISSING
    thresholds: Annotated[
        Thresholds | MISSING,
        Field(validation_alias=AliasChoices("thresholds", "alert_thresholds")),
    ] = MISSING
    enforcement: Enforced | MISSING = MISSING
    enabled: bool | MISSING = MISSING


class UsageOut(Out):
    """What a budget was used for in its present window."""

    window: Annotated[str, Field(description="The month, the day, or the run's id.")]
    started_at: UtcTime | None
    resets_at: Annotated[UtcTime | None, Field(description="Null for runs.")]
    spent: float
    held: Annotated[float, Field(description="Reserved for calls that are under way.")]
    remaining: float
    percent: Annotated[float | None, Field(description="Of the limit; null when that is zero.")]
    unpriced_calls: Annotated[
        int, Field(description="Calls whose price nobody knows; they are in no amount here.")
    ]

    @classmethod
    def of(cls, limit: int, window: Window, usage: BudgetUsage | None) -> "UsageOut":
        """Return the usage of a window; one that nothing was spent in has no row."""
        spent, held = (usage.spent, usage.held) if usage else (0, 0)
        return cls(
            window=window.key,
            started_at=window.start,
            resets_at=window.end,
            spent=dollars_of(spent),
            held=dollars_of(held),
            remaining=dollars_of(max(0, limit - spent - held)),
            percent=round(spent * _WHOLE / limit, 2) if limit else None,
            unpriced_calls=usage.unpriced_calls if usage else 0,
        )


class BudgetOut(RecordOut):
    """A budget and what it was used for."""

    name: str
    scope: Scope
    target_id: str | None
    period: Period
    limit: float
    thresholds: list[int]
    enforcement: Enforcement
    enabled: bool
    usage: Annotated[
        UsageOut | None,
        Field(description="Of the present window; null where each run has its own."),
    ]

    @classmethod
    def of(cls, budget: Budget, window: Window | None, usage: BudgetUsage | None) -> "BudgetOut":
        """Return a budget with the usage of a window, if there is one present window."""
        return cls(
            id=budget.id,
            created_at=budget.created_at,
            updated_at=budget.updated_at,
            name=budget.name,
            scope=budget.scope,  # pyright: ignore[reportArgumentType]
            target_id=budget.target_id or None,
            period=budget.period,  # pyright: ignore[reportArgumentType]
            limit=dollars_of(budget.limit_nanos),
            thresholds=budget.thresholds,
            enforcement=budget.enforcement,  # pyright: ignore[reportArgumentType]
            enabled=budget.enabled,
            usage=UsageOut.of(budget.limit_nanos, window, usage) if window else None,
        )


class CostBudgetUpdate(In):
    """The project's budget for a month."""

    monthly_limit: Annotated[
        Limit | MISSING | None,
        Field(description="US dollars a month; null removes the budget. The first time it is due."),
    ] = MISSING
    alert_thresholds: Thresholds | MISSING = MISSING
    enforcement: Enforced | MISSING = MISSING


class CostBudgetOut(Out):
    """The project's budget for the present month; without one only what was spent."""

    budget_id: str | None
    monthly_limit: float | None
    alert_thresholds: list[int]
    enforcement: Enforcement | None
    enabled: bool
    currency: Literal["USD"]
    month: Annotated[str, Field(examples=["2026-11"])]
    resets_at: UtcTime
    spent: float
    held: float
    remaining: float | None
    percent: float | None
    unpriced_calls: int
