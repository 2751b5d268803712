"""Laying a run down in the dead letters, in the unit of work that ends it."""

from collections import Counter
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL
from muster.domains.work.dead_letters.events import DeadLetterAdded, DeadLetterWasRetried
from muster.domains.work.dead_letters.models import RETRIED, WAITING, DeadLetter
from muster.domains.work.journal import Run, RunStatus, Step
from muster.domains.work.runs import RunMove
from muster.kernel import clock
from muster.kernel.ids import new_id
from muster.platform import events
from muster.platform.access import Caller

_LAST_STEPS = 20
_LONGEST = 2_000


async def bury_failed(session: AsyncSession, _: Caller, move: RunMove) -> None:
    """Go along with the moves of a run: lay it down when it fails, raise it up when it recovers."""
    run = move.run
    # What another run started is that one's to judge; what runs elsewhere starts again there.
    if run.parent_run_id or run.kind == EXTERNAL:
        return
    if move.status == RunStatus.FAILED:
        ended = await session.get_one(Run, run.id, populate_existing=True)
        await bury(session, Caller.system(run.project_id), ended)
    elif move.status == RunStatus.COMPLETED and run.segment > 1:
        await _raise_up(session, run)


async def bury(
    session: AsyncSession,
    caller: Caller,
    run: Run,
    *,
    reason: str | None = None,
    source: str = "run",
) -> str:
    """Lay a run down with its whole context; one that lay there before waits again.

    Args:
        session: Of the unit of work that ended the run, or of another one.
        caller: Who lays it down.
        run: The run, as it ended.
        reason: Why, where the run itself does not say it.
        source: `run` where it failed by itself, `manual` where a person laid it down.

    Returns:
        The id of the dead letter.
    """
    before = select(DeadLetter.attempts).where(
        DeadLetter.retry_run_id == run.id,
        DeadLetter.run_id != run.id,
        DeadLetter.project_id == run.project_id,
    )
    now = clock.now()
    context: dict[str, Any] = {
        "run_name": run.name,
        "kind": run.kind,
        "agent_id": run.agent_id,
        "target": _target(run),
        "inputs": run.inputs,
        "error": run.error,
        "reason": reason or run.status_reason,
        "steps": await _summary(session, run.id),
        "attempts": (await session.scalar(before) or 0) + run.segment,
        "source": source,
        "status": WAITING,
        "failed_at": run.completed_at or now,
        "retried_at": None,
        "retry_run_id": None,
        "updated_at": now,
    }
    fixed = {"id": new_id(), "project_id": run.project_id, "run_id": run.id, "created_at": now}
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    statement = (
        insert(DeadLetter)
        .values(**fixed, **context)
        .on_conflict_do_update(index_elements=["run_id"], set_=context)
        .returning(DeadLetter.id)
    )
    letter_id = (await session.execute(statement)).scalar_one()
    fact = DeadLetterAdded(
        dead_letter_id=letter_id,
        run_id=run.id,
        name=run.name,
        kind=run.kind,
        source=source,
        reason=context["reason"],
        attempts=context["attempts"],
    )
    events.record(session, caller, fact)
    return letter_id


async def _raise_up(session: AsyncSession, run: Run) -> None:
    """Let a run wait no more that was taken up again where it was and came to its end."""
    now = clock.now()
    statement = (
        update(DeadLetter)
        .where(DeadLetter.run_id == run.id, DeadLetter.status == WAITING)
        .values(status=RETRIED, retried_at=now, retry_run_id=run.id, updated_at=now)
        .returning(DeadLetter.id)
        .execution_options(synchronize_session=False)
    )
    letter_id = await session.scalar(statement)
    if letter_id is not None:
        fact = DeadLetterWasRetried(
            dead_letter_id=letter_id,
            run_id=run.id,
            name=run.name,
            kind=run.kind,
            retry_run_id=run.id,
        )
        events.record(session, Caller.system(run.project_id), fact)


def _target(run: Run) -> dict[str, Any]:
    agent: dict[str, Any] = run.snapshot.get("agent") or {}
    return {
        "kind": run.kind,
        "agent_id": run.agent_id,
        "agent_name": agent.get("name"),
        "agent_version": run.agent_version,
        "model": run.snapshot.get("model"),
        "origin": run.origin,
        "origin_run_id": run.origin_run_id,
        "priority": run.priority,
        "timeout_s": run.timeout_s,
    }


async def _summary(session: AsyncSession, run_id: str) -> dict[str, Any]:
    """Return how many steps there were of each kind, and the last of them."""
    kinds = await session.scalars(select(Step.kind).where(Step.run_id == run_id))
    query = (
        select(Step.seq, Step.kind, Step.name, Step.status, Step.error)
        .where(Step.run_id == run_id)
        .order_by(Step.seq.desc())
        .limit(_LAST_STEPS)
    )
    last = [
        {
            "seq": seq,
            "kind": kind,
            "name": name,
            "status": status,
            "error": _message(error),
        }
        for seq, kind, name, status, error in (await session.execute(query)).all()
    ]
    counts = Counter(kinds)
    return {"total": counts.total(), "by_kind": dict(sorted(counts.items())), "last": last[::-1]}


def _message(error: str | None) -> str | None:
    if error is None:
        return None
    try:
        found = msgspec.json.decode(error, type=dict[str, Any]).get("message")
    except msgspec.MsgspecError:
        found = None
    return str(found)[:_LONGEST] if found else error[:_LONGEST]
