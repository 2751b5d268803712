"""The moves of a circuit breaker, each one guarded statement."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, delete, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.breakers.breaker import CLOSED, HALF_OPEN, OPEN, Numbers
from muster.domains.control.breakers.events import (
    CircuitBreakerClosed,
    CircuitBreakerOpened,
    PlatformBreakerClosed,
    PlatformBreakerOpened,
)
from muster.domains.control.breakers.models import CircuitBreaker
from muster.domains.control.breakers.names import BreakerId
from muster.kernel import clock
from muster.kernel.ids import new_id
from muster.platform import events
from muster.platform.access import Caller

_LONGEST_PROBE_S = 300.0
"""A probe of which nothing is heard for so long was lost with its process."""
_IDLE = timedelta(days=1)

_B = CircuitBreaker


async def ensure(session: AsyncSession, breaker: BreakerId) -> None:
    """Make the row of a breaker unless there is one."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as upsert
    else:
        from sqlalchemy.dialects.sqlite import insert as upsert
    moment = clock.now()
    values = {
        "id": new_id(),
        "created_at": moment,
        "updated_at": moment,
        "key": breaker.key,
        "project_id": breaker.project_id,
        "name": breaker.name,
        "state": CLOSED,
        "failures": 0,
        "probes": 0,
        "successes": 0,
    }
    await session.execute(upsert(_B).values(values).on_conflict_do_nothing())


async def count_failure(
    session: AsyncSession, breaker: BreakerId, numbers: Numbers, reason: str
) -> CircuitBreaker | None:
    """Count a failure of a closed breaker; returns the row if this one opened it."""
    await ensure(session, breaker)
    moment = clock.now()
    oldest = moment - timedelta(seconds=numbers.window_s)
    anew = or_(_B.first_failure_at.is_(None), _B.first_failure_at < oldest)
    failures = case((anew, 1), else_=_B.failures + 1)
    opens = failures >= numbers.failure_threshold
    changed = await _move(
        session,
        and_(_B.key == breaker.key, _B.state == CLOSED),
        failures=failures,
        first_failure_at=case((anew, moment), else_=_B.first_failure_at),
        last_failure_at=moment,
        state=case((opens, OPEN), else_=CLOSED),
        opened_at=case((opens, moment), else_=_B.opened_at),
        probe_at=case((opens, _probe_at(moment, numbers)), else_=None),
        reason=reason,
    )
    return changed if changed is not None and changed.state == OPEN else None


async def forget_failures(session: AsyncSession, breaker: BreakerId) -> None:
    """Note that the other side answers: failures count in a row."""
    here = and_(_B.key == breaker.key, _B.state == CLOSED, _B.failures > 0)
    await _move(session, here, failures=0, first_failure_at=None)


async def begin_probe(session: AsyncSession, breaker: BreakerId, numbers: Numbers) -> bool:
    """Let one call through to see whether the other side is there, if one more may."""
    moment = clock.now()
    due = and_(_B.state == OPEN, _B.probe_at <= moment)
    lost = _B.probed_at < moment - timedelta(seconds=_LONGEST_PROBE_S)
    free = and_(_B.state == HALF_OPEN, or_(_B.probes < numbers.half_open_max, lost))
    changed = await _move(
        session,
        and_(_B.key == breaker.key, or_(due, free)),
        state=HALF_OPEN,
        probes=case((or_(due, lost), 1), else_=_B.probes + 1),
        successes=case((due, 0), else_=_B.successes),
        probed_at=moment,
    )
    return changed is not None


async def end_probe(session: AsyncSession, breaker: BreakerId) -> None:
    """Give a probe back that came to nothing either way."""
    here = and_(_B.key == breaker.key, _B.state == HALF_OPEN, _B.probes > 0)
    await _move(session, here, probes=_B.probes - 1)


async def probe_succeeded(
    session: AsyncSession, breaker: BreakerId, numbers: Numbers
) -> CircuitBreaker | None:
    """Count a probe that came off; returns the row if this one closed the breaker."""
    closes = _B.successes + 1 >= numbers.success_threshold
    changed = await _move(
        session,
        and_(_B.key == breaker.key, _B.state == HALF_OPEN, _B.probes > 0),
        successes=_B.successes + 1,
        probes=case((closes, 0), else_=_B.probes - 1),
        state=case((closes, CLOSED), else_=HALF_OPEN),
        failures=case((closes, 0), else_=_B.failures),
        first_failure_at=case((closes, None), else_=_B.first_failure_at),
        probe_at=case((closes, None), else_=_B.probe_at),
    )
    return changed if changed is not None and changed.state == CLOSED else None


async def probe_failed(
    session: AsyncSession, breaker: BreakerId, numbers: Numbers, reason: str
) -> CircuitBreaker | None:
    """Open the breaker again; returns the row unless it is not half-open any more."""
    moment = clock.now()
    return await _move(
        session,
        and_(_B.key == breaker.key, _B.state == HALF_OPEN),
        state=OPEN,
        failures=_B.failures + 1,
        last_failure_at=moment,
        opened_at=moment,
        probe_at=_probe_at(moment, numbers),
        probes=0,
        reason=reason,
    )


async def put(session: AsyncSession, breaker: BreakerId, **values: Any) -> CircuitBreaker:
    """Set columns of a breaker, whatever its state; makes it first where there is none."""
    await ensure(session, breaker)
    changed = await _move(session, _B.key == breaker.key, **values)
    assert changed is not None  # noqa: S101 - it was just made
    return changed


async def forget_idle(session: AsyncSession) -> None:
    """Delete breakers that say no more than that there is no row."""
    columns = (_B.failure_threshold, _B.window_s, _B.open_s, _B.half_open_max, _B.success_threshold)
    idle = and_(
        _B.state == CLOSED,
        _B.updated_at < clock.now() - _IDLE,
        *(column.is_(None) for column in columns),
    )
    await session.execute(delete(_B).where(idle))


def tell_opened(
    session: AsyncSession, caller: Caller, row: CircuitBreaker, *, by_hand: bool = False
) -> None:
    """Record that a breaker opened."""
    kind = CircuitBreakerOpened if row.project_id else PlatformBreakerOpened
    fact = kind(
        circuit_breaker_id=row.id,
        name=row.name,
        reason=row.reason,
        failures=row.failures,
        probe_at=clock.iso(row.probe_at) if row.probe_at else None,
        by_hand=by_hand,
    )
    events.record(session, caller, fact)


def tell_closed(
    session: AsyncSession, caller: Caller, row: CircuitBreaker, *, by_hand: bool = False
) -> None:
    """Record that a breaker closed."""
    kind = CircuitBreakerClosed if row.project_id else PlatformBreakerClosed
    fact = kind(circuit_breaker_id=row.id, name=row.name, by_hand=by_hand)
    events.record(session, caller, fact)


def _probe_at(moment: datetime, numbers: Numbers) -> datetime:
    return moment + timedelta(seconds=numbers.open_s)


async def _move(session: AsyncSession, here: Any, **values: Any) -> CircuitBreaker | None:
    statement = (
        update(_B)
        .where(here)
        .values(updated_at=clock.now(), **values)
        .returning(_B)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return await session.scalar(statement)
