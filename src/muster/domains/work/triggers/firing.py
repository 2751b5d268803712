"""Making a firing: what it is fired by, with which inputs, and whether it may start now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import exists, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import ACTIVE, Run
from muster.domains.work.plans import ExpressionInvalid, render
from muster.domains.work.triggers.events import TriggerFailed, TriggerFired
from muster.domains.work.triggers.models import FAILED, PENDING, QUEUED, STARTED, Firing, Trigger
from muster.kernel import clock
from muster.kernel.db import after_commit
from muster.kernel.ids import new_id
from muster.kernel.live import LiveBus
from muster.platform import events
from muster.platform.access import Caller

TOPIC = "trigger-firings"
NUL = rb"\u0000"
_ACTIVE = [status.value for status in ACTIVE]
_NEWEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a trigger is fired by.

    Args:
        due_key: Names it among all that fire the trigger.
        source: cron, webhook, event or manual.
        due_at: When it should fire.
        variables: What the templates of the inputs read, besides the trigger and the time.
    """

    due_key: str
    source: str
    due_at: datetime
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: dict[str, Any] | None = None
    starter_id: str | None = None
    event_seq: int | None = None
    event_type: str | None = None
    depth: int = 0


def row_of(
    trigger: Trigger,
    cause: Cause,
    now: datetime,
    *,
    status: str = PENDING,
    reason: str | None = None,
) -> dict[str, Any]:
    """Return the row of a firing; one whose inputs cannot be made has failed already."""
    inputs: dict[str, Any] = {}
    if status in {PENDING, QUEUED}:
        try:
            inputs = _inputs(trigger, cause, now)
        except ExpressionInvalid as error:
            status, reason = FAILED, f"The inputs cannot be made: {error.detail}"
    return {
        "id": new_id(),
        "project_id": trigger.project_id,
        "trigger_id": trigger.id,
        "due_key": cause.due_key,
        "source": cause.source,
        "due_at": cause.due_at,
        "fired_at": None,
        "status": status,
        "reason": reason,
        "run_id": new_id(),
        "starter_id": cause.starter_id or trigger.owner_id,
        "inputs": inputs,
        "event_seq": cause.event_seq,
        "event_type": cause.event_type,
        "depth": cause.depth,
        "attempts": 0,
        "launch_at": now if status == PENDING else None,
        "created_at": now,
        "updated_at": now,
    }


def _inputs(trigger: Trigger, cause: Cause, now: datetime) -> dict[str, Any]:
    if cause.inputs is not None:
        return cause.inputs
    if trigger.inputs is None:
        return dict(cause.variables)
    about = {"id": trigger.id, "name": trigger.name, "type": trigger.type}
    variables = {**cause.variables, "trigger": about, "now": clock.iso(now)}
    return _storable(render(trigger.inputs, variables))


def _storable(made: Any) -> dict[str, Any]:
    """Return what an expression came to as JSON: it can make what no database takes."""
    try:
        text = msgspec.json.encode(made)
        if NUL in text:
            raise ExpressionInvalid("A text holds a NUL character.")
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        raise ExpressionInvalid("They come to something that JSON cannot hold.") from None


def _insert(session: AsyncSession) -> Any:
    dialect = session.get_bind().dialect.name
    make = insert_postgresql if dialect == "postgresql" else insert_sqlite
    return make(Firing).on_conflict_do_nothing(index_elements=["trigger_id", "due_key"])


async def insert_firing(session: AsyncSession, trigger: Trigger, row: dict[str, Any]) -> bool:
    """Insert a firing unless there is one with the same key; tell whether it was inserted."""
    statement = _insert(session).values(row).returning(Firing.id)
    inserted = await session.scalar(statement) is not None
    if inserted and row["status"] == FAILED:
        tell(session, trigger, row)
    return inserted


async def insert_firings(
    session: AsyncSession, triggers: Mapping[str, Trigger], rows: list[dict[str, Any]]
) -> None:
    """Insert firings whose keys nobody else can have: the cursor was moved with them."""
    await session.execute(insert(Firing), rows)
    for row in rows:
        if row["status"] == FAILED:
            tell(session, triggers[row["trigger_id"]], row)


def tell(session: AsyncSession, trigger: Trigger, row: Mapping[str, Any]) -> None:
    """Record that a trigger has fired, or could not start what it should."""
    facts: dict[str, Any] = {
        "trigger_id": trigger.id,
        "name": trigger.name,
        "trigger_type": trigger.type,
        "firing_id": row["id"],
        "run_id": row["run_id"],
        "source": row["source"],
    }
    caller = Caller.system(trigger.project_id, f"trigger {trigger.name}"[:255])
    if row["status"] == STARTED:
        events.record(session, caller, TriggerFired(**facts))
    elif row["status"] == FAILED:
        events.record(session, caller, TriggerFailed(**facts, reason=row["reason"] or ""))


async def is_under_way(session: AsyncSession, trigger_id: str) -> bool:
    """Tell whether something that a trigger fired waits to be started or has not ended."""
    mine = Firing.trigger_id == trigger_id
    waiting = exists().where(mine, Firing.status == PENDING)
    # What goes on is among the newest: while it does, others are left out or wait.
    newest = (
        select(Firing.run_id)
        .where(mine, Firing.status == STARTED)
        .order_by(Firing.due_at.desc())
        .limit(_NEWEST)
    )
    running = exists().where(Run.id.in_(newest), Run.status.in_(_ACTIVE))
    return bool(await session.scalar(select(waiting | running)))


async def is_queued(session: AsyncSession, trigger_id: str) -> bool:
    """Tell whether a firing of a trigger waits for the one before it."""
    waiting = exists().where(Firing.trigger_id == trigger_id, Firing.status == QUEUED)
    return bool(await session.scalar(select(waiting)))


def announce(session: AsyncSession, live: LiveBus) -> None:
    """Let the clocks look when the unit of work is committed."""

    async def publish() -> None:
        live.publish(TOPIC, {"type": "fired"})

    after_commit(session, publish)
