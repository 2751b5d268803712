"""What runs do with approvals: ask, read what was decided, withdraw."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.approvals.events import ApprovalRequested, ApprovalWithdrawn
from muster.domains.control.approvals.models import Approval
from muster.domains.control.approvals.requests import ApprovalRequest, StepApproval
from muster.kernel import clock
from muster.kernel.db import Prepared
from muster.kernel.ids import new_id
from muster.platform import events
from muster.platform.access import Caller

PENDING = "pending"
DECIDED = ("approved", "rejected")
INPUT = "input"
"""Kind of a question that is answered with values, not with a yes alone."""
AGENT_REVIEW = "agent_review"
"""Kind of a question whether an agent may go on; only the platform asks it."""

_APPROVALS = Approval.__table__
_WITHDRAW = Prepared(
    update(_APPROVALS)  # pyright: ignore[reportArgumentType]
    .where(_APPROVALS.c.run_id == bindparam("of_run"), _APPROVALS.c.status == PENDING)
    .values(status="cancelled", decided_at=bindparam("moment"), updated_at=bindparam("moment"))
    .returning(_APPROVALS.c.id)
)


async def ask(
    session: AsyncSession,
    caller: Caller,
    *,
    run_id: str,
    agent_id: str | None,
    requests: Sequence[ApprovalRequest],
    heard: Collection[str],
) -> list[str]:
    """Put questions about steps of a run; one that is open already is not asked twice.

    Whoever asks holds the run, so that nobody decides meanwhile. `heard` has the decisions that
    the run knows: a question that was decided since it looked is not asked again.

    Returns the ids of the open approvals.
    """
    statement = select(Approval).where(
        Approval.run_id == run_id,
        Approval.status.in_([PENDING, *DECIDED]),
        Approval.id.not_in(heard),
    )
    asked = {
        (a.step_key, a.kind, a.arguments_hash): a
        for a in await session.scalars(statement.order_by(Approval.created_at))
    }
    ids: list[str] = []
    for request in requests:
        known = asked.get((request.step_key, request.kind, request.arguments_hash))
        if known is None:
            ids.append(_add(session, caller, run_id, agent_id, request))
        elif known.status == PENDING:
            ids.append(known.id)
    await session.flush()
    return ids


def _add(
    session: AsyncSession,
    caller: Caller,
    run_id: str,
    agent_id: str | None,
    request: ApprovalRequest,
) -> str:
    approval = Approval(
        id=new_id(),
        project_id=caller.project_id,
        kind=request.kind,
        run_id=run_id,
        step_key=request.step_key,
        agent_id=agent_id,
        title=request.title[:255],
        description=request.description,
        details=request.subject,
        arguments_hash=request.arguments_hash,
        arguments_schema=request.arguments_schema,
        choices=request.choices,
        requested_by_id=caller.id,
        requested_by_name=caller.name,
    )
    session.add(approval)
    tell_requested(session, caller, approval)
    return approval.id


def tell_requested(session: AsyncSession, caller: Caller, approval: Approval) -> None:
    """Record that people are asked something."""
    fact = ApprovalRequested(
        approval_id=approval.id,
        kind=approval.kind,
        title=approval.title,
        run_id=approval.run_id,
        agent_id=approval.agent_id,
    )
    events.record(session, caller, fact)


async def ask_about_agent(
    session: AsyncSession,
    caller: Caller,
    *,
    agent_id: str,
    title: str,
    description: str,
    details: dict[str, Any],
) -> str:
    """Ask whether an agent may go on; while the question is open it is not asked again.

    Whoever asks holds the agent, so that two cannot ask at once. Returns the approval's id.
    """
    open_one = select(Approval.id).where(
        Approval.project_id == caller.project_id,
        Approval.agent_id == agent_id,
        Approval.kind == AGENT_REVIEW,
        Approval.status == PENDING,
    )
    if known := await session.scalar(open_one.limit(1)):
        return known
    approval = Approval(
        id=new_id(),
        project_id=caller.project_id,
        kind=AGENT_REVIEW,
        agent_id=agent_id,
        title=title[:255],
        description=description,
        details=details,
        requested_by_id=caller.id,
        requested_by_name=caller.name,
    )
    session.add(approval)
    tell_requested(session, caller, approval)
    await session.flush()
    return approval.id


async def decisions_of(session: AsyncSession, run_id: str) -> list[StepApproval]:
    """Return what was decided about the steps of a run, oldest first."""
    statement = (
        select(Approval)
        .where(Approval.run_id == run_id, Approval.status.in_(DECIDED))
        .order_by(Approval.decided_at)
    )
    return [
        StepApproval(
            id=a.id,
            kind=a.kind,
            step_key=a.step_key or "",
            approved=a.status == "approved",
            arguments_hash=a.arguments_hash or "",
            arguments=a.arguments,
            choice=a.choice,
            decided_by=a.decided_by_name or "",
            reason=a.reason,
        )
        for a in await session.scalars(statement)
    ]


async def has_open(session: AsyncSession, run_id: str) -> bool:
    """Tell whether a run still waits for somebody."""
    statement = select(Approval.id).where(Approval.run_id == run_id, Approval.status == PENDING)
    return await session.scalar(statement.limit(1)) is not None


async def withdraw(session: AsyncSession, caller: Caller, run_id: str) -> None:
    """Take back what a run still asks: it has ended."""
    for (approval_id,) in await _WITHDRAW.within(session, of_run=run_id, moment=clock.now()):
        fact = ApprovalWithdrawn(approval_id=approval_id, run_id=run_id)
        events.record(session, caller, fact)
