"""Taking deliveries up and putting them down, each a guarded statement.

A delivery is in the hands of the process whose claim it carries, until the lease ends. Whoever
comes too late finds another claim, or none, and changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.ids import new_id
from muster.platform.deliveries.models import (
    DEAD,
    DELIVERED,
    DELIVERING,
    PENDING,
    Delivery,
    DeliveryAttempt,
)
from muster.platform.deliveries.outgoing import Outgoing

INTERRUPTED = "The process that made this attempt ended, or took too long; it may have arrived."

_D = Delivery


async def claim_due(
    session: AsyncSession, *, now: datetime, lease_end: datetime, limit: int
) -> list[Outgoing]:
    """Take up deliveries that are due; of many processes that do, each gets others."""
    claim = new_id()
    statement = (
        update(_D)
        .where(_D.id.in_(_due(PENDING, now, limit)), _D.status == PENDING, _D.due_at <= now)
        .values(
            status=DELIVERING,
            claim=claim,
            due_at=lease_end,
            attempts=_D.attempts + 1,
            updated_at=now,
        )
        .returning(
            _D.id,
            _D.project_id,
            _D.source_kind,
            _D.source_id,
            _D.event_id,
            _D.event_type,
            _D.message,
            _D.attempts.label("number"),
            _D.max_attempts,
            _D.claim,
        )
        .execution_options(synchronize_session=False)
    )
    rows = (await session.execute(statement)).mappings()
    return sorted((Outgoing(**row) for row in rows), key=lambda outgoing: outgoing.id)


async def release_lapsed(session: AsyncSession, *, now: datetime, limit: int) -> Sequence[Delivery]:
    """Take deliveries out of the hands of processes whose lease has ended, and log the attempt.

    Returns those that have no attempt left: they are dead.
    """
    statement = (
        update(_D)
        .where(_D.id.in_(_due(DELIVERING, now, limit)), _D.status == DELIVERING, _D.due_at <= now)
        .values(status=PENDING, claim=None, due_at=now, last_error=INTERRUPTED, updated_at=now)
        .returning(_D)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    lapsed = (await session.scalars(statement)).all()
    for delivery in lapsed:
        await log_attempt(
            session,
            delivery.id,
            delivery.attempts,
            at=now,
            outcome="interrupted",
            error=INTERRUPTED,
        )
    dead = [delivery for delivery in lapsed if delivery.attempts >= delivery.max_attempts]
    for delivery in dead:
        delivery.status, delivery.due_at = DEAD, None
    await session.flush()
    return dead


def _due(status: str, now: datetime, limit: int) -> Any:
    # In a WITH of its own: PostgreSQL may run a subquery that locks once for each row, and each
    # time it would lock others.
    due = (
        select(_D.id)
        .where(_D.due_at <= now, _D.status == status)
        .order_by(_D.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return select(due.c.id)


async def put_down(session: AsyncSession, outgoing: Outgoing, **values: Any) -> bool:
    """Change a delivery that is still in these hands, and let go of it; tell whether it was."""
    statement = (
        update(_D)
        .where(_D.id == outgoing.id, _D.claim == outgoing.claim, _D.status == DELIVERING)
        .values(claim=None, **values)
        .returning(_D.id)
        .execution_options(synchronize_session=False)
    )
    return await session.scalar(statement) is not None


async def arrived(session: AsyncSession, outgoing: Outgoing, now: datetime) -> bool:
    """Note that a delivery has arrived."""
    return await put_down(
        session,
        outgoing,
        status=DELIVERED,
        due_at=None,
        last_error=None,
        delivered_at=now,
        updated_at=now,
    )


async def failed(
    session: AsyncSession,
    outgoing: Outgoing,
    error: str,
    *,
    now: datetime,
    again_at: datetime | None,
) -> bool:
    """Note a failure: to be tried again at a time, or never."""
    return await put_down(
        session,
        outgoing,
        status=PENDING if again_at else DEAD,
        due_at=again_at,
        last_error=error,
        updated_at=now,
    )


async def postponed(
    session: AsyncSession, outgoing: Outgoing, reason: str, *, now: datetime, until: datetime
) -> bool:
    """Put a delivery back that was not attempted."""
    return await put_down(
        session,
        outgoing,
        status=PENDING,
        due_at=until,
        last_error=reason,
        attempts=_D.attempts - 1,
        updated_at=now,
    )


async def log_attempt(
    session: AsyncSession,
    delivery_id: str,
    number: int,
    *,
    at: datetime,
    outcome: str,
    duration_ms: int | None = None,
    status_code: int | None = None,
    error: str | None = None,
) -> None:
    """Keep how one attempt went."""
    row = {
        "delivery_id": delivery_id,
        "number": number,
        "at": at,
        "duration_ms": duration_ms,
        "outcome": outcome,
        "status_code": status_code,
        "error": error,
    }
    await session.execute(insert(DeliveryAttempt).values(row))
