"""Telling that a budget comes to its end: each threshold once in a window."""

from collections.abc import Sequence

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.budgets.entries import Growth
from muster.domains.control.budgets.events import BudgetExceeded, BudgetThresholdReached
from muster.domains.control.budgets.models import BudgetUsage
from muster.domains.control.budgets.money import dollars_of
from muster.domains.control.budgets.rules import Line
from muster.kernel.db import Database
from muster.platform import events
from muster.platform.access import Caller

_WHOLE = 100


async def tell_growth(database: Database, grown: Sequence[Growth]) -> None:
    """Record what usages have crossed by growing."""
    latest = {growth.line.place: growth for growth in grown}
    for growth in latest.values():
        crossed = _crossed(growth)
        over = growth.spent >= growth.line.rule.limit and not growth.exceeded
        if not crossed and not over:
            continue
        async with database.write() as session:
            await _tell_thresholds(session, growth, crossed)
            if over:
                await tell_exceeded(session, growth.line, growth.spent)


def _crossed(growth: Growth) -> list[int]:
    rule = growth.line.rule
    return [
        threshold
        for threshold in rule.thresholds
        if threshold > growth.alerted and growth.spent * _WHOLE >= rule.limit * threshold
    ]


async def _tell_thresholds(session: AsyncSession, growth: Growth, crossed: Sequence[int]) -> None:
    rule, window = growth.line.rule, growth.line.window
    for threshold in crossed:
        # Guarded: of several processes that see the same, one tells it.
        statement = (
            update(BudgetUsage)
            .where(
                BudgetUsage.budget_id == rule.id,
                BudgetUsage.window == window.key,
                BudgetUsage.alerted < threshold,
            )
            .values(alerted=threshold)
            .returning(BudgetUsage.budget_id)
        )
        if await session.scalar(statement) is None:
            continue
        fact = BudgetThresholdReached(
            budget_id=rule.id,
            name=rule.name,
            window=window.key,
            threshold=threshold,
            limit=dollars_of(rule.limit),
            spent=dollars_of(growth.spent),
        )
        events.record(session, Caller.system(rule.project_id), fact)


async def tell_exceeded(session: AsyncSession, line: Line, spent: int) -> None:
    """Record that a budget is used up, or that it refused for the first time in its window."""
    statement = (
        update(BudgetUsage)
        .where(
            BudgetUsage.budget_id == line.rule.id,
            BudgetUsage.window == line.window.key,
            BudgetUsage.exceeded.is_(False),
        )
        .values(exceeded=True)
        .returning(BudgetUsage.budget_id)
    )
    if await session.scalar(statement) is None:
        return
    fact = BudgetExceeded(
        budget_id=line.rule.id,
        name=line.rule.name,
        window=line.window.key,
        limit=dollars_of(line.rule.limit),
        spent=dollars_of(spent),
    )
    events.record(session, Caller.system(line.rule.project_id), fact)
