"""Gathers a whole report."""

from collections.abc import Awaitable, Callable
from functools import partial

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster import __version__
from muster.domains.control.policies import policies_of
from muster.domains.insight.reports.checks import LogChecks
from muster.domains.insight.reports.document import (
    FORMAT_VERSION,
    Activity,
    Approvals,
    CheckRow,
    Count,
    Cover,
    Decisions,
    Document,
    Integrity,
    Summary,
)
from muster.domains.insight.reports.extent import Extent, snapshot
from muster.domains.insight.reports.gathering import notes
from muster.domains.insight.reports.gathering.agents import (
    kind_counts,
    names_of,
    read_agents,
    read_runs,
)
from muster.domains.insight.reports.gathering.approvals import read_approvals
from muster.domains.insight.reports.gathering.changes import read_changes
from muster.domains.insight.reports.gathering.costs import costs_of, days_of
from muster.domains.insight.reports.gathering.incidents import read_incidents, violations_of
from muster.domains.insight.reports.gathering.integrity import verify
from muster.domains.insight.reports.gathering.mapping import map_frameworks
from muster.domains.insight.reports.gathering.steps import StepTotals, read_steps
from muster.domains.insight.reports.models import Report
from muster.domains.work.journal import BlobStore
from muster.kernel import clock
from muster.kernel.db import Database
from muster.platform.projects import Project

_ACTIONS = ("allow", "warn", "ask", "block")

Tell = Callable[[str, float], Awaitable[None]]
"""Told the phase, and how much of it is done, 0 to 1."""


async def gather(
    database: Database, report: Report, blobs: BlobStore, checks: LogChecks, tell: Tell
) -> Document:
    """Return what a report says: all figures as of one moment, then the chains."""
    extent = Extent(
        project_id=report.project_id,
        begin=report.period_from,
        end=report.period_to,
        agent_ids=tuple(report.agent_ids or ()),
        environment=report.environment,
    )
    async with snapshot(database) as session:
        figures = await _figures(session, report, extent, blobs, tell)
    integrity = await verify(database, extent, blobs, checks, partial(tell, "verifying"))
    return figures(integrity)


async def _figures(
    session: AsyncSession,
    report: Report,
    extent: Extent,
    blobs: BlobStore,
    tell: Tell,
) -> Callable[[Integrity], Document]:
    """Read everything but the chains; returns what makes the document of both."""
    names = await names_of(session, extent.project_id)
    as_of = clock.now()
    runs, runs_by_agent = await read_runs(session, extent)
    steps = await read_steps(session, extent, blobs, partial(tell, "reading"))
    agents = await read_agents(session, extent, runs_by_agent, steps)
    incidents = await read_incidents(session, extent, names)
    approvals = await read_approvals(session, extent, names)
    changes = await read_changes(session, extent)
    policies = await policies_of(session, extent.project_id)
    project = await session.scalar(select(Project.name).where(Project.id == extent.project_id))
    violations = violations_of(incidents, steps.policies.values())
    occurrences: dict[str, int] = {}
    for row in violations.rows:
        if row.policy_id is not None:
            occurrences[row.policy_id] = occurrences.get(row.policy_id, 0) + row.occurrences
    frameworks = map_frameworks(policies, occurrences, report.framework)
    costs = costs_of(steps, names)
    decisions = _decisions(steps)

    def document(integrity: Integrity) -> Document:
        summary = Summary(
            agents=agents.total,
            runs=sum(row.count for row in runs),
            steps=steps.total,
            decisions=decisions.total,
            blocked=steps.actions["block"],
            incidents=incidents.total,
            unresolved_incidents=incidents.unresolved,
            approvals=approvals.total,
            pending_approvals=_pending(approvals),
            model_calls=costs.total.calls,
            cost=costs.total.cost,
            unpriced_calls=costs.total.unpriced_calls,
            changes=changes.total,
            events_valid=integrity.events.valid,
            runs_valid=integrity.runs_valid,
            runs_invalid=integrity.runs_invalid,
            framework_items=sum(len(framework.items) for framework in frameworks),
            framework_gaps=sum(framework.gaps for framework in frameworks),
        )
        made = Document(
            cover=Cover(
                report_id=report.id,
                title=report.title,
                project_id=report.project_id,
                project_name=project or report.project_id,
                period_from=report.period_from,
                period_to=report.period_to,
                as_of=as_of,
                requested_by=report.created_by_name,
                requested_at=report.created_at,
                only_agents=[names.get(agent, agent) for agent in report.agent_ids or ()],
                only_environment=report.environment,
                only_framework=report.framework,
                product=f"Muster {__version__}",
                format_version=FORMAT_VERSION,
            ),
            summary=summary,
            agents=agents,
            activity=Activity(
                runs=summary.runs,
                runs_by_kind=runs,
                steps=steps.total,
                steps_by_kind=kind_counts(steps.kinds),
                days=days_of(steps),
                unreadable_steps=steps.unreadable,
            ),
            decisions=decisions,
            violations=violations,
            incidents=incidents.document(),
            approvals=approvals,
            costs=costs,
            changes=changes,
            integrity=integrity,
            frameworks=frameworks,
            notes=[],
        )
        return notes.noted(made)

    return document


def _decisions(steps: StepTotals) -> Decisions:
    ordered = sorted(steps.checks.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    return Decisions(
        total=steps.actions.total(),
        by_action=[Count(name=action, count=steps.actions[action]) for action in _ACTIONS],
        by_check=[
            CheckRow(check=check, action=action, findings=count)
            for (check, action), count in ordered
        ],
        unreadable=steps.unreadable_decisions,
    )


def _pending(approvals: Approvals) -> int:
    return sum(row.count for row in approvals.by_status if row.name == "pending")
