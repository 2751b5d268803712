"""The moves of a run, each with its event, in one unit of work."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import hold_activity, show_activity
from muster.domains.control import approvals
from muster.domains.work.journal import (
    ACTIVE,
    IllegalRunMove,
    Intent,
    Run,
    RunAction,
    RunStatus,
    run_topic,
    transition,
)
from muster.domains.work.runs.events import (
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunFinished,
    RunRejected,
    RunResumed,
    RunStarted,
    RunStopped,
    RunStopping,
    RunWaiting,
)
from muster.domains.work.runs.parts import Jobs
from muster.engine import Job
from muster.kernel import clock, metrics
from muster.kernel.db import Prepared, after_commit
from muster.platform import events
from muster.platform.access import Caller

JOB_KIND = "run"
FOLLOWERS = "run_followers"
"""In the `info` of a session: those who go along with the moves of runs, in their unit of work."""

RESTARTED = "Job cancelled - service was restarted while job was running"
"""The documented reason of runs that a restart cancelled."""

_FINISHED: dict[RunAction, type[RunFinished]] = {
    RunAction.COMPLETE: RunCompleted,
    RunAction.FAIL: RunFailed,
    RunAction.CANCEL: RunCancelled,
    RunAction.STOPPED: RunStopped,
    RunAction.REJECT: RunRejected,
}
# Whatever ended otherwise may be taken up again, and then has to know what may have half-happened.
_FOR_GOOD = frozenset({RunAction.COMPLETE, RunAction.REJECT})
_BUSY = (RunStatus.PREPARING.value, RunStatus.RUNNING.value, RunStatus.STOPPING.value)


# Built once, as every run needs them: to build a statement costs more than to execute it.
_TAKING = (
    update(Run)
    .where(Run.id == bindparam("of_run"), Run.segment == bindparam("of_segment"))
    .values(
        fence=Run.fence + 1,
        executor_id=bindparam("executor"),
        updated_at=bindparam("moment"),
        wake_at=None,
    )
    .returning(Run)
    .execution_options(synchronize_session=False, populate_existing=True)
)
_TAKE_UP = _TAKING.where(
    Run.status.in_([s.value for s in (RunStatus.PENDING, RunStatus.PREPARING, RunStatus.RUNNING)])
).values(status=RunStatus.PREPARING.value)
# A run that was asked to stop when its process died keeps the wish and its status.
_TAKE_UP_STOPPING = _TAKING.where(Run.status == RunStatus.STOPPING.value)
_RUNS = Run.__table__
_FORGET_INTENTS = Prepared(
    delete(Intent.__table__).where(Intent.run_id == bindparam("of_run"))  # pyright: ignore[reportArgumentType]
)
_UNFINISHED_CHILDREN = Prepared(
    select(_RUNS.c.id).where(
        _RUNS.c.parent_run_id == bindparam("of_run"),
        _RUNS.c.status.in_([literal(status.value) for status in ACTIVE]),
    )
)
_COUNT_BUSY = Prepared(
    select(func.count())
    .select_from(_RUNS)
    .where(
        _RUNS.c.agent_id == bindparam("of_agent"),
        _RUNS.c.status.in_([literal(status) for status in _BUSY]),
    )
)


def submit_later(session: AsyncSession, engine: Jobs, run: Run) -> None:
    """Give the run's present segment to the engine when the unit of work is committed.

    A process that dies in between leaves a pending run without a job; the dispatcher finds it.
    """
    job = job_of(run)

    async def submit() -> None:
        await engine.submit(job)

    after_commit(session, submit)


def job_of(run: Run) -> Job:
    """Return the engine's job for the present segment of a run."""
    return Job(
        id=run.job_id,
        kind=JOB_KIND,
        payload={"run_id": run.id, "segment": run.segment},
        partition=run.project_id,
        priority=run.priority,
    )


async def take_up(session: AsyncSession, run_id: str, segment: int, executor_id: str) -> Run | None:
    """Take a run for this process: from now on only its new fence may append to the journal.

    Returns None when there is nothing to do: the run ended, waits, or has a newer segment.
    """
    parameters = {
        "of_run": run_id,
        "of_segment": segment,
        "executor": executor_id,
        "moment": clock.now(),
    }
    for statement in (_TAKE_UP, _TAKE_UP_STOPPING):
        taken: Run | None = await session.scalar(statement, parameters)
        if taken is not None:
            return taken
    return None


async def start(session: AsyncSession, caller: Caller, run: Run) -> datetime:
    """Move a run that was taken up to running; returns when it first started."""
    first = run.started_at is None
    started_at = run.started_at or clock.now()
    try:
        await transition(session, run.id, RunAction.START, fence=run.fence, started_at=started_at)
    except IllegalRunMove:
        # It was asked to stop before it began, and goes on only to come to its end.
        await transition(session, run.id, RunAction.STOP, fence=run.fence, started_at=started_at)
    if run.agent_id and (agent := await hold_activity(session, run.agent_id)):
        await show_activity(session, caller, agent, running=True)
    event = RunStarted if first else RunResumed
    events.record(
        session,
        caller,
        event(run_id=run.id, name=run.name, agent_id=run.agent_id, segment=run.segment),
    )
    await go_along(session, caller, RunMove(run, RunStatus.RUNNING))
    tell(session, run.id, RunStatus.RUNNING)
    return started_at


async def wait(
    session: AsyncSession,
    caller: Caller,
    run: Run,
    requests: Sequence[approvals.ApprovalRequest],
    *,
    heard: Collection[str],
    for_people: bool,
    wake_at: datetime | None,
    active_ms: int,
    engine: Jobs,
) -> None:
    """Ask people and let the run wait, in one unit of work.

    Without requests of its own the run waits for a run that it started. With `wake_at` it goes on
    at that moment whatever people have decided until then. `heard` has the decisions it knows.
    """
    if not for_people:
        assert wake_at is not None  # noqa: S101 - else nothing would wake it
        await _sleep(session, run, wake_at, active_ms=active_ms)
        return
    # First the run: whoever decides holds it, so that each of two sees what the other has done.
    await transition(
        session, run.id, RunAction.WAIT, fence=run.fence, active_ms=active_ms, wake_at=wake_at
    )
    asked = await approvals.ask(
        session, caller, run_id=run.id, agent_id=run.agent_id, requests=requests, heard=heard
    )
    events.record(
        session,
        caller,
        RunWaiting(run_id=run.id, name=run.name, agent_id=run.agent_id, approval_ids=asked),
    )
    if run.agent_id:
        await _rest(session, caller, run.agent_id)
    await go_along(session, caller, RunMove(run, RunStatus.WAITING_FOR_APPROVAL))
    tell(session, run.id, RunStatus.WAITING_FOR_APPROVAL)
    if not asked and not await _child_waits(session, run.id):
        # The answer came while the other steps of this run were being finished.
        current = await session.get_one(Run, run.id)
        await reopen(session, current, RunAction.WAKE)
        if current.parent_run_id is None:
            # Another one is taken up again by the run that it works for, and by nobody else.
            submit_later(session, engine, current)


async def _sleep(session: AsyncSession, run: Run, wake_at: datetime, *, active_ms: int) -> None:
    """Put a run back in the queue for later: the dispatcher gives it to the engine then."""
    await transition(
        session,
        run.id,
        RunAction.SLEEP,
        fence=run.fence,
        segment=run.segment + 1,
        executor_id=None,
        active_ms=active_ms,
        wake_at=wake_at,
        status_reason=f"Sleeps until {clock.iso(wake_at)}",
    )
    if run.agent_id:
        await _rest(session, Caller.system(run.project_id), run.agent_id)
    tell(session, run.id, RunStatus.PENDING)


@dataclass(frozen=True, slots=True)
class RunMove:
    """A run and its new status, which is `created` for a new one; what it came to at its end."""

    run: Run
    status: str
    result: Any = None
    error: dict[str, Any] | None = None


Follower = Callable[[AsyncSession, Caller, RunMove], Awaitable[None]]


async def go_along(session: AsyncSession, caller: Caller, move: RunMove) -> None:
    """Let those who go along with runs know of a move, in its unit of work."""
    followers: Sequence[Follower] = session.info.get(FOLLOWERS, ())
    for follower in followers:
        await follower(session, caller, move)


async def _child_waits(session: AsyncSession, run_id: str) -> bool:
    statement = select(Run.id).where(
        Run.parent_run_id == run_id, Run.status == RunStatus.WAITING_FOR_APPROVAL.value
    )
    return await session.scalar(statement.limit(1)) is not None


async def finish(
    session: AsyncSession,
    caller: Caller,
    run: Run,
    action: RunAction,
    *,
    reason: str | None = None,
    fence: int | None = None,
    **changes: Any,
) -> RunStatus:
    """End a run, with its event; what it still asked of people is withdrawn.

    Runs that it started and that have not ended go with it: nobody else would take them up.
    """
    status = await _finish_one(session, caller, run, action, reason, fence=fence, **changes)
    ended = [run, *await _finish_children(session, caller, run, action, reason)]
    # Agents after all the runs, and in one order: else two such ends could wait for each other.
    for agent_id in sorted({one.agent_id for one in ended if one.agent_id}):
        await _rest(session, caller, agent_id)
    return status


async def _finish_one(
    session: AsyncSession,
    caller: Caller,
    run: Run,
    action: RunAction,
    reason: str | None,
    *,
    fence: int | None = None,
    **changes: Any,
) -> RunStatus:
    moment = clock.now()
    moved = await transition(
        session,
        run.id,
        action,
        fence=fence,
        status_reason=reason,
        completed_at=moment,
        **changes,
    )
    if action in _FOR_GOOD:
        await _FORGET_INTENTS.within(session, of_run=run.id)
    await approvals.withdraw(session, caller, run.id)
    elapsed = (moment - run.started_at).total_seconds() * 1000 if run.started_at else None
    fact = _FINISHED[action](
        run_id=run.id,
        name=run.name,
        agent_id=run.agent_id,
        status=moved.status.value,
        reason=reason,
        duration_ms=round(elapsed, 1) if elapsed is not None else None,
        head_seq=moved.head_seq,
        head_hash=moved.head_hash,
    )
    events.record(session, caller, fact)
    error = changes.get("error") or ({"message": reason} if reason else None)
    move = RunMove(run, moved.status, changes.get("result"), error)
    await go_along(session, caller, move)
    tell(session, run.id, moved.status)
    metrics.RUNS_FINISHED.labels(moved.status.value).inc()
    return moved.status


async def _finish_children(
    session: AsyncSession, caller: Caller, run: Run, action: RunAction, reason: str | None
) -> list[Run]:
    if action is not RunAction.STOPPED:
        action = RunAction.CANCEL
    reason = reason or "The run that started it has ended"
    ended: list[Run] = []
    for (child_id,) in await _UNFINISHED_CHILDREN.within(session, of_run=run.id):
        child = await session.get_one(Run, child_id)
        with suppress(IllegalRunMove):  # it came to its end by itself in this moment
            await _finish_one(session, caller, child, action, reason)
            ended += [child, *await _finish_children(session, caller, child, action, reason)]
    return ended


async def note_work(session: AsyncSession, run: Run, active_ms: int) -> None:
    """Keep how long a run has worked that somebody else ended: it may be taken up again."""
    await session.execute(
        update(Run).where(Run.id == run.id, Run.fence == run.fence).values(active_ms=active_ms)
    )


async def ask_to_stop(
    session: AsyncSession, caller: Caller, run: Run, *, reason: str | None
) -> RunStatus:
    """Ask a run to stop at the end of its present step."""
    moved = await transition(
        session, run.id, RunAction.STOP, stop_requested="graceful", status_reason=reason
    )
    fact = RunStopping(run_id=run.id, name=run.name, agent_id=run.agent_id, reason=reason)
    events.record(session, caller, fact)
    tell(session, run.id, moved.status)
    return moved.status


async def requeue(
    session: AsyncSession,
    engine: Jobs,
    run: Run,
    action: RunAction,
    *,
    fence: int | None = None,
) -> None:
    """Put a run back in the queue as a new segment.

    With a fence only if nobody took it up since.
    """
    await reopen(session, run, action, fence=fence)
    submit_later(session, engine, run)


async def reopen(
    session: AsyncSession, run: Run, action: RunAction, *, fence: int | None = None
) -> None:
    """Let a run begin a new segment; what it came to before is forgotten, its journal is not."""
    await transition(
        session,
        run.id,
        action,
        fence=fence,
        segment=run.segment + 1,
        completed_at=None,
        stop_requested=None,
        executor_id=None,
        error=None,
        result=None,
        status_reason=None,
        wake_at=None,
    )
    await session.refresh(run)
    tell(session, run.id, RunStatus.PENDING)


async def requeue_stopping(session: AsyncSession, engine: Jobs, run: Run, *, fence: int) -> None:
    """Put a run back in the queue that was asked to stop: it comes to its end there."""
    await transition(session, run.id, RunAction.STOP, fence=fence, segment=run.segment + 1)
    await session.refresh(run)
    submit_later(session, engine, run)


async def wake_decided(session: AsyncSession, run_id: str, engine: Jobs) -> None:
    """Let a run go on when nothing is asked of people any more; its parents wait with it."""
    *parents, run = await hold_line(session, run_id)
    if run is None or run.status != RunStatus.WAITING_FOR_APPROVAL:
        return
    if await approvals.has_open(session, run_id):
        return
    while parents:
        await transition(session, run.id, RunAction.WAKE)
        run = parents.pop()
        if run is None or run.status != RunStatus.WAITING_FOR_APPROVAL:
            # The parent does other work still; it finds the answer when it comes to wait.
            return
    await requeue(session, engine, run, RunAction.WAKE)


async def hold_line(session: AsyncSession, run_id: str) -> list[Run | None]:
    """Return a run and those above it, top first, that nobody else moves until the end.

    Whoever changes several of them begins at the top, and goes on to what they ask of people only
    then: else two could wait for each other. And of two people who decide about one run at once,
    the second sees what the first one did.
    """
    line: list[str] = []
    current: str | None = run_id
    while current is not None:
        line.append(current)
        current = await session.scalar(select(Run.parent_run_id).where(Run.id == current))
    return [await session.get(Run, id_, with_for_update=True) for id_ in reversed(line)]


async def _rest(session: AsyncSession, caller: Caller, agent_id: str) -> None:
    """Show an agent as idle again when its last run at work has ended or waits."""
    # Two last runs that end at once must not each take the other for one that goes on.
    agent = await hold_activity(session, agent_id)
    if agent is None:
        return
    [(busy,)] = await _COUNT_BUSY.within(session, of_agent=agent_id)
    if not busy:
        await show_activity(session, caller, agent, running=False)


def tell(session: AsyncSession, run_id: str, status: RunStatus) -> None:
    """Tell those who follow the run about its status when the unit of work is committed."""
    live = session.info.get("live")
    if live is None:
        return

    async def publish() -> None:
        live.publish(run_topic(run_id), {"type": "status", "status": status.value})

    after_commit(session, publish)
