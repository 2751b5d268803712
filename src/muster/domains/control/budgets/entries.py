"""The statements of the ledger: claims and settlements, many in one transaction.

Whether a claim fits is decided by the one UPDATE that takes it, so processes need not agree on
anything. The rows that a transaction touches are locked first and in one order: two transactions
that touch the same rows wait for each other and never deadlock.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    Row,
    bindparam,
    delete,
    insert,
    select,
    tuple_,
    update,
)

from muster.domains.control.budgets.models import Budget, BudgetHold, BudgetUsage
from muster.domains.control.budgets.rules import Line

HOLD_LIFE = timedelta(minutes=15)
"""How long a hold counts of which nothing is heard; a call that takes longer is still settled."""

_B: Any = Budget.__table__
_U: Any = BudgetUsage.__table__
_H: Any = BudgetHold.__table__


@dataclass(frozen=True, slots=True)
class Refusal:
    """A budget that a claim did not fit into, as it was then; one that only warns lets it pass."""

    line: Line
    limit: int
    spent: int
    held: int
    amount: int


@dataclass(slots=True, kw_only=True)
class Claim:
    """A wish to hold an amount in every one of the lines, or in none."""

    run_id: str
    key: str
    lines: Sequence[Line]
    amount: int
    done: asyncio.Future[list[Refusal]] = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Settlement:
    """What calls came to; `held` says whether there is a hold to be given back.

    With `done` somebody waits until it is written, or is given up.
    """

    run_id: str
    key: str
    lines: Sequence[Line]
    cost: int
    unpriced: int
    held: bool
    done: asyncio.Future[None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Growth:
    """A usage after a settlement: what alerts are told by."""

    line: Line
    spent: int
    alerted: int
    exceeded: bool


_HERE = (_U.c.budget_id == bindparam("b"), _U.c.window == bindparam("w"))
_LIMIT = select(_B.c.limit_nanos).where(_B.c.id == bindparam("b")).scalar_subquery()
_HOLD = update(_U).where(*_HERE).values(held=_U.c.held + bindparam("amount"))
_HOLD_IF_IT_FITS = _HOLD.where(
    _U.c.spent + _U.c.held + bindparam("amount") <= _LIMIT, _U.c.spent < _LIMIT
)
_SPENT = select(_U.c.budget_id, _U.c.window, _U.c.spent, _U.c.held)
_STATE = select(_U.c.spent, _U.c.held, _LIMIT.label("limit")).where(*_HERE)
_GROWN: tuple[Any, ...] = (_U.c.spent, _U.c.alerted, _U.c.exceeded)
_SETTLE: Executable = (  # pyright: ignore[reportUnknownVariableType]
    update(_U)
    .where(*_HERE)
    .values(
        held=_U.c.held - bindparam("amount"),
        spent=_U.c.spent + bindparam("cost"),
        unpriced_calls=_U.c.unpriced_calls + bindparam("unpriced"),
    )
    .returning(*_GROWN)
)
_THIS_HOLD = (
    _H.c.budget_id == bindparam("b"),
    _H.c.run_id == bindparam("r"),
    _H.c.step_key == bindparam("k"),
)
_END_HOLD = delete(_H).where(*_THIS_HOLD).returning(_H.c.amount, _H.c.window)


def write_entries(
    connection: Connection, entries: Sequence[Claim | Settlement], moment: datetime
) -> tuple[list[list[Refusal]], list[Growth]]:
    """Write claims and settlements; returns for each what it did not fit into, and what grew."""
    present = _lock(connection, entries)
    answers: list[list[Refusal]] = []
    grown: list[Growth] = []
    for entry in entries:
        lines = [line for line in entry.lines if line.place in present]
        if isinstance(entry, Claim):
            answers.append(_claim(connection, entry, lines, moment))
            continue
        answers.append([])
        for line in lines:
            grown.extend(_settle(connection, entry, line))
    return answers, grown


def _lock(connection: Connection, entries: Sequence[Claim | Settlement]) -> set[tuple[str, str]]:
    """Lock the usages, made where they are missing; those of deleted budgets are left out."""
    wanted = {line.place for entry in entries for line in entry.lines}
    places = tuple_(_U.c.budget_id, _U.c.window)
    query = select(_U.c.budget_id, _U.c.window).where(places.in_(sorted(wanted)))
    found = connection.execute(query.order_by(_U.c.budget_id, _U.c.window).with_for_update())
    present = {(row.budget_id, row.window) for row in found}
    missing = sorted(wanted - present)
    if missing:
        budgets = {budget for budget, _ in missing}
        alive = set(connection.scalars(select(_B.c.id).where(_B.c.id.in_(budgets))))
        for budget, window in missing:
            if budget in alive:
                start_usage(connection, budget, window)
                present.add((budget, window))
    return present


def start_usage(connection: Connection, budget_id: str, window: str, **values: Any) -> None:
    """Make the row of a usage unless somebody else just has."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as upsert
    else:
        from sqlalchemy.dialects.sqlite import insert as upsert
    row = {
        "budget_id": budget_id,
        "window": window,
        "spent": 0,
        "held": 0,
        "unpriced_calls": 0,
        "alerted": 0,
        "exceeded": False,
    }
    connection.execute(upsert(_U).values({**row, **values}).on_conflict_do_nothing())


def used_up(connection: Connection, lines: Sequence[Line]) -> list[Refusal]:
    """Return those of the lines in which nothing is left; nothing is taken."""
    places = [line.place for line in lines]
    query = _SPENT.where(tuple_(_U.c.budget_id, _U.c.window).in_(places))
    usages = {(row.budget_id, row.window): row for row in connection.execute(query)}
    over: list[Refusal] = []
    for line in lines:
        usage = usages.get(line.place)
        spent, held = (usage.spent, usage.held) if usage is not None else (0, 0)
        state = Refusal(line, line.rule.limit, spent, held, 0)
        if spent >= state.limit or (not line.rule.blocks and _is_over(state)):
            over.append(state)
    return over


def _claim(
    connection: Connection, claim: Claim, lines: Sequence[Line], moment: datetime
) -> list[Refusal]:
    taken: list[Line] = []
    warnings: list[Refusal] = []
    for line in lines:
        _end_hold(connection, claim, line)  # of an attempt that a crash cut off
        if _fits(connection, claim, line):
            if claim.amount:
                taken.append(line)
                connection.execute(insert(_H), _hold(claim, line, moment))
            if line.rule.blocks:
                continue
        state = _state(connection, claim, line)
        if not line.rule.blocks:
            if _is_over(state):
                warnings.append(state)
            continue
        for earlier in taken:
            _end_hold(connection, claim, earlier)
        return [state]
    return warnings


def _fits(connection: Connection, claim: Claim, line: Line) -> bool:
    """Tell whether a claim fits, and take it; nothing is taken for a price that nobody knows."""
    values = {"b": line.rule.id, "w": line.window.key}
    if not line.rule.blocks:
        if claim.amount:
            connection.execute(_HOLD, {**values, "amount": claim.amount})
        return True
    if claim.amount:
        taken = connection.execute(_HOLD_IF_IT_FITS, {**values, "amount": claim.amount})
        return bool(taken.rowcount)
    state = _state(connection, claim, line)
    return state.spent < state.limit


def _is_over(state: Refusal) -> bool:
    return state.spent >= state.limit or state.spent + state.held > state.limit


def _hold(claim: Claim, line: Line, moment: datetime) -> dict[str, Any]:
    return {
        "budget_id": line.rule.id,
        "window": line.window.key,
        "run_id": claim.run_id,
        "step_key": claim.key,
        "amount": claim.amount,
        "created_at": moment,
        "expires_at": moment + HOLD_LIFE,
    }


def _state(connection: Connection, claim: Claim, line: Line) -> Refusal:
    values = {"b": line.rule.id, "w": line.window.key}
    row = connection.execute(_STATE, values).one()
    return Refusal(line, row.limit, row.spent, row.held, claim.amount)


def _end_hold(connection: Connection, claim: Claim, line: Line) -> None:
    identity = {"b": line.rule.id, "r": claim.run_id, "k": claim.key}
    for hold in connection.execute(_END_HOLD, identity).all():
        back = {"b": line.rule.id, "w": hold.window, "amount": -hold.amount}
        connection.execute(_HOLD, back)


def _settle(connection: Connection, settlement: Settlement, line: Line) -> list[Growth]:
    amount = 0
    if settlement.held:
        identity = {"b": line.rule.id, "r": settlement.run_id, "k": settlement.key}
        hold = connection.execute(_END_HOLD, identity).one_or_none()
        if hold is None:
            return []  # taken for lost, and counted from the journal, before this came
        amount = hold.amount
    values = {
        "b": line.rule.id,
        "w": line.window.key,
        "amount": amount,
        "cost": settlement.cost,
        "unpriced": settlement.unpriced,
    }
    row: Row[Any] = connection.execute(_SETTLE, values).one()
    return [Growth(line, row.spent, row.alerted, row.exceeded)]
