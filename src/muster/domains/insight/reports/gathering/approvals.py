"""Approvals of a period."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from muster.domains.control.approvals import Approval
from muster.domains.insight.reports.document import ApprovalRow, Approvals
from muster.domains.insight.reports.extent import Extent
from muster.domains.insight.reports.gathering.incidents import counts, mean

MOST_APPROVALS = 500
_BATCH = 500
_STATUSES = ("pending", "approved", "rejected", "cancelled")
_DECIDED = {"approved", "rejected"}


async def read_approvals(
    session: AsyncSession, extent: Extent, agents: Mapping[str, str]
) -> Approvals:
    """Count the approvals that were asked for or decided in the period, and keep the newest."""
    query = (
        select(Approval)
        .where(
            extent.own(Approval.project_id, Approval.agent_id),
            or_(extent.during(Approval.created_at), extent.during(Approval.decided_at)),
        )
        .options(defer(Approval.details), defer(Approval.arguments_schema))
        .order_by(Approval.created_at.desc(), Approval.id.desc())
        .limit(_BATCH)
    )
    total, statuses, waits = 0, Counter[str](), list[float]()
    rows: list[ApprovalRow] = []
    after: Approval | None = None
    while True:
        batch = query
        if after is not None:
            place = tuple_(Approval.created_at, Approval.id)
            batch = query.where(place < tuple_(after.created_at, after.id))
        found = (await session.scalars(batch)).all()
        for approval in found:
            row = _row(approval, agents)
            total += 1
            statuses[row.status] += 1
            if row.waited_s is not None:
                waits.append(row.waited_s)
            if len(rows) < MOST_APPROVALS:
                rows.append(row)
        if len(found) < _BATCH:
            break
        after = found[-1]
        session.expunge_all()
    return Approvals(
        total=total,
        by_status=counts(statuses, _STATUSES),
        mean_wait_s=mean(waits),
        longest_wait_s=max(waits, default=None),
        rows=rows,
    )


def _row(approval: Approval, agents: Mapping[str, str]) -> ApprovalRow:
    waited: float | None = None
    if approval.status in _DECIDED and approval.decided_at is not None:
        waited = round(max(0.0, (approval.decided_at - approval.created_at).total_seconds()), 3)
    return ApprovalRow(
        id=approval.id,
        kind=approval.kind,
        title=approval.title,
        status=approval.status,
        agent=agents.get(approval.agent_id or "", approval.agent_id),
        run_id=approval.run_id,
        requested_by=approval.requested_by_name,
        requested_at=approval.created_at,
        decided_by=approval.decided_by_name,
        decided_at=approval.decided_at,
        waited_s=waited,
        reason=approval.reason,
    )
