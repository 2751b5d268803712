"""The one table of legal moves of a run, guarded in SQL."""

from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, literal, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from muster.domains.work.journal.models import Run
from muster.domains.work.journal.statuses import ACTIVE, RunStatus
from muster.kernel import clock
from muster.kernel.db import Prepared
from muster.kernel.errors import Conflict


class RunAction(StrEnum):
    """What can be done with a run; each is one row of the table of moves."""

    PREPARE = "prepare"
    START = "start"
    WAIT = "wait"
    WAKE = "wake"
    SLEEP = "sleep"
    REQUEUE = "requeue"
    STOP = "stop"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    STOPPED = "stopped"
    REJECT = "reject"
    RESUME = "resume"


_S = RunStatus
_UNDER_WAY = frozenset({_S.PREPARING, _S.RUNNING, _S.STOPPING})

MOVES: dict[RunAction, tuple[frozenset[RunStatus], RunStatus]] = {
    RunAction.PREPARE: (frozenset({_S.PENDING, _S.PREPARING, _S.RUNNING}), _S.PREPARING),
    RunAction.START: (frozenset({_S.PREPARING}), _S.RUNNING),
    RunAction.WAIT: (frozenset({_S.RUNNING}), _S.WAITING_FOR_APPROVAL),
    RunAction.WAKE: (frozenset({_S.WAITING_FOR_APPROVAL}), _S.PENDING),
    RunAction.SLEEP: (frozenset({_S.RUNNING}), _S.PENDING),
    RunAction.REQUEUE: (_UNDER_WAY | {_S.PENDING}, _S.PENDING),
    RunAction.STOP: (_UNDER_WAY, _S.STOPPING),
    RunAction.COMPLETE: (frozenset({_S.RUNNING, _S.STOPPING}), _S.COMPLETED),
    RunAction.FAIL: (_UNDER_WAY | {_S.PENDING}, _S.FAILED),
    RunAction.CANCEL: (ACTIVE, _S.CANCELLED),
    RunAction.STOPPED: (ACTIVE, _S.STOPPED),
    RunAction.REJECT: (frozenset({_S.RUNNING, _S.WAITING_FOR_APPROVAL}), _S.REJECTED),
    # Taking a stopped, cancelled or failed run up again is the one way out of a final status; it
    # is asked for by a person and keeps the journal.
    RunAction.RESUME: (frozenset({_S.STOPPED, _S.CANCELLED, _S.FAILED}), _S.PENDING),
}


class IllegalRunMove(Conflict):
    code, title = "illegal_run_move", "The run's status does not allow this"


class Moved(NamedTuple):
    """Where a run stands after a move, and the end of its journal then."""

    status: RunStatus
    head_seq: int
    head_hash: str


async def transition(
    session: AsyncSession,
    run_id: str,
    action: RunAction,
    *,
    fence: int | None = None,
    **changes: Any,
) -> Moved:
    """Move a run, or raise `IllegalRunMove`; one UPDATE that names the statuses it may leave.

    Args:
        session: The unit of work.
        run_id: The run.
        action: What is done with it.
        fence: The mover's fence; a run that another process has taken up does not move.
        changes: Other columns to set in the same statement.
    """
    sources, target = MOVES[action]
    values: dict[str, Any] = {"status": target.value, "updated_at": clock.now(), **changes}
    if target.is_final:
        values.setdefault("completed_at", clock.now())
        values["executor_id"] = values["wake_at"] = None
    statement = _move(sources, fence is not None, frozenset(values))
    heads = await statement.within(session, **values, of_run=run_id, of_fence=fence)
    if not heads:
        raise IllegalRunMove(
            f"The run cannot {action.value.replace('_', ' ')} in its present status."
        )
    # The statement goes past the ORM: whoever has the run in this session sees it moved.
    if (held := session.sync_session.identity_map.get(identity_key(Run, run_id))) is not None:
        for name, value in values.items():
            set_committed_value(held, name, value)
    return Moved(target, *heads[0])


@cache
def _move(sources: frozenset[RunStatus], fenced: bool, columns: frozenset[str]) -> Prepared:
    """Return the statement of a move, built once: to build it costs more than to execute it."""
    runs: Any = Run.__table__
    statement: Any = update(runs).where(
        runs.c.id == bindparam("of_run"),
        runs.c.status.in_([literal(status) for status in sorted(s.value for s in sources)]),
    )
    if fenced:
        statement = statement.where(runs.c.fence == bindparam("of_fence"))
    values = {name: bindparam(name, type_=runs.c[name].type) for name in sorted(columns)}
    return Prepared(statement.values(values).returning(runs.c.head_seq, runs.c.head_hash))
