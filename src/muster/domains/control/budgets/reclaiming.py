"""Giving back what calls hold that never came to be settled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from muster.domains.control.budgets.journal import Ended, Journal
from muster.domains.control.budgets.models import BudgetHold, BudgetUsage
from muster.domains.control.budgets.money import nanos_of
from muster.domains.control.gate import BARE_KEY
from muster.kernel import clock
from muster.kernel.db import Database

GRACE = timedelta(seconds=30)
"""A call that has just ended is settled by whoever made it."""

_U: Any = BudgetUsage.__table__
_H: Any = BudgetHold.__table__
_THIS = (
    _H.c.budget_id == bindparam("b"),
    _H.c.run_id == bindparam("r"),
    _H.c.step_key == bindparam("k"),
    _H.c.created_at == bindparam("c"),
    _H.c.amount == bindparam("a"),
)
_END = delete(_H).where(*_THIS)
_EMPTY = update(_H).where(*_THIS).values(amount=0)
_GIVE_BACK = (
    update(_U)
    .where(_U.c.budget_id == bindparam("b"), _U.c.window == bindparam("w"))
    .values(
        held=_U.c.held - bindparam("amount"),
        spent=_U.c.spent + bindparam("cost"),
        unpriced_calls=_U.c.unpriced_calls + bindparam("unpriced"),
    )
)


@dataclass(frozen=True, slots=True)
class _Lost:
    """A hold that nobody will settle; one that only expired may still be, and keeps its row."""

    hold: Row[Any]
    known: Ended | None
    over: bool


async def reclaim(
    database: Database, journal: Journal, places: Iterable[tuple[str, str]] | None = None
) -> bool:
    """Give back the holds of calls that are in the journal, of runs that are over, of long ago.

    A call that is in the journal is counted with what it cost. Only holds of the given budgets and
    windows are looked at, or all. Returns whether anything was given back.
    """
    moment = clock.now()
    query = select(_H).where(_H.c.created_at < moment - GRACE)
    if places is not None:
        query = query.where(_H.c.budget_id.in_({budget for budget, _ in places}))
    async with database.read() as session:
        holds = (await session.execute(query)).all()
        if not holds:
            return False
        runs = {hold.run_id for hold in holds}
        ended = await journal.calls(session, runs, min(hold.created_at for hold in holds))
        over = await journal.over(session, runs)
    lost = [found for hold in holds if (found := _judge(hold, ended, over, moment)) is not None]
    return bool(lost) and await database.transact(partial(_give_back, lost=lost))


def _judge(
    hold: Row[Any], ended: Sequence[Ended], over: set[str], moment: datetime
) -> _Lost | None:
    if hold.step_key == BARE_KEY:
        # No run and no journal know of it: only time tells.
        return _Lost(hold, None, over=not hold.amount) if hold.expires_at < moment else None
    # An attempt after a failed one has the key of the step with a number behind it.
    known = next(
        (
            call
            for call in ended
            if call.run_id == hold.run_id
            and call.key.partition("~")[0] == hold.step_key
            and call.ended_at >= hold.created_at
        ),
        None,
    )
    if known is not None or hold.run_id in over:
        return _Lost(hold, known, over=True)
    expired = hold.expires_at < moment and hold.amount > 0
    return _Lost(hold, None, over=False) if expired else None


def _give_back(connection: Connection, lost: Sequence[_Lost]) -> bool:
    gave = False
    for found in sorted(lost, key=lambda lost: (lost.hold.budget_id, lost.hold.window)):
        hold, cost = found.hold, found.known.cost if found.known else 0.0
        identity = {
            "b": hold.budget_id,
            "r": hold.run_id,
            "k": hold.step_key,
            "c": hold.created_at,
            "a": hold.amount,
        }
        if not connection.execute(_END if found.over else _EMPTY, identity).rowcount:
            continue  # settled or given back at the same moment
        gave = True
        values = {
            "b": hold.budget_id,
            "w": hold.window,
            "amount": hold.amount,
            "cost": nanos_of(cost or 0.0),
            "unpriced": int(cost is None),
        }
        connection.execute(_GIVE_BACK, values)
    return gave
