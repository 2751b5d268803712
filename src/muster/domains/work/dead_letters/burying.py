"""Laying a run down in the dead letters, in the unit of work that ends it."""

from collections import Counter
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, func, select, update
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

_OF_TASKS = frozenset({"task", EXTERNAL})
_LAST_STEPS = 20
_LONGEST = 2_000


async def bury_failed(session: AsyncSession, _: Caller, move: RunMove) -> None:
    """Go along with the moves of a run: lay it down when it fails, raise it up when it recovers."""
    run = move.run
    # What another run started is that one's to judge; what runs elsewhere starts again there.
    if run.parent_run_id or not can_start_again(run):
        return
    if move.status == RunStatus.FAILED:
        # No start is to wait for the tasks.
        from muster.domains.work.tasks import TASK_RETURNED

        if (move.error or {}).get("code") == TASK_RETURNED:
            return  # the task waits for another worker
        ended = await session.get_one(Run, run.id, populate_existing=True)
        await bury(session, Caller.system(run.project_id), ended)
    elif move.status == RunStatus.COMPLETED and run.segment > 1:
        await _raise_up(session, run, DeadLetter.run_id == run.id)
    elif move.status == RunStatus.RUNNING and run.kind == EXTERNAL:
        await _raise_up(session, run, DeadLetter.run_id.in_(_of_task(run)))


def can_start_again(run: Run) -> bool:
    """Tell whether a run can be started again from here; what agents elsewhere do cannot.

    What a worker node does can: its task goes back in the queue.
    """
    return run.kind != EXTERNAL or run.target_id is not None


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
        "attempts": await _attempts(session, run),
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


def _of_task(run: Run) -> Select[str]:
    """Return the runs by which workers did the task of a run."""
    return select(Run.id).where(
        Run.project_id == run.project_id, Run.target_id == run.target_id, Run.kind == EXTERNAL
    )


async def _attempts(session: AsyncSession, run: Run) -> int:
    """Count how often it was tried: by this run, and by those in whose place it was started."""
    if run.kind == EXTERNAL:
        failed = _of_task(run).where(Run.status == RunStatus.FAILED.value)
        return await session.scalar(failed.with_only_columns(func.count())) or 1
    before = select(DeadLetter.attempts).where(
        DeadLetter.retry_run_id == run.id,
        DeadLetter.run_id != run.id,
        DeadLetter.project_id == run.project_id,
    )
    return (await session.scalar(before) or 0) + run.segment


async def _raise_up(session: AsyncSession, run: Run, those: ColumnElement[bool]) -> None:
    """Let those wait no more whose work this run has taken up."""
    now = clock.now()
    letter = DeadLetter.__table__.c
    statement = (
        update(DeadLetter)
        .where(DeadLetter.project_id == run.project_id, DeadLetter.retry_run_id.is_(None), those)
        .values(
            status=RETRIED,
            retried_at=func.coalesce(DeadLetter.retried_at, now),
            retry_run_id=run.id,
            updated_at=now,
        )
        .returning(letter.id, letter.run_id, letter.run_name, letter.kind, letter.retried_at)
        .execution_options(synchronize_session=False)
    )
    for row in (await session.execute(statement)).all():
        if row.retried_at != now:
            continue  # a person has retried it, and that was told
        fact = DeadLetterWasRetried(
            dead_letter_id=row.id,
            run_id=row.run_id,
            name=row.run_name,
            kind=row.kind,
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
        "task_id": run.target_id if run.kind in _OF_TASKS else None,
        "worker_id": run.snapshot.get("worker_id"),
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
