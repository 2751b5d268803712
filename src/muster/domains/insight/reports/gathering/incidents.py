"""Incidents of a period with their handling, and violations by policy."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from muster.domains.control.incidents import SEVERITIES, Incident, IncidentChange
from muster.domains.insight.reports.document import (
    Count,
    IncidentMove,
    IncidentRow,
    Incidents,
    ViolationRow,
    Violations,
)
from muster.domains.insight.reports.extent import Extent
from muster.domains.insight.reports.gathering.steps import PolicyFindings

MOST_INCIDENTS = 500
_BATCH = 500
_SEVERITIES = SEVERITIES[::-1]
_STATUSES = ("open", "active", "resolved", "ignored")

PolicyKey = tuple[str, str]
"""A policy by its id, else by its name; and a severity."""


@dataclass(slots=True)
class IncidentTotals:
    """What the pass has counted."""

    total: int = 0
    opened: int = 0
    last_occurred: int = 0
    statuses: Counter[str] = field(default_factory=Counter[str])
    severities: Counter[str] = field(default_factory=Counter[str])
    acknowledged_s: list[float] = field(default_factory=list[float])
    resolved_s: list[float] = field(default_factory=list[float])
    policies: dict[PolicyKey, ViolationRow] = field(default_factory=dict[PolicyKey, ViolationRow])
    rows: list[IncidentRow] = field(default_factory=list[IncidentRow])

    def document(self) -> Incidents:
        return Incidents(
            total=self.total,
            opened=self.opened,
            last_occurred=self.last_occurred,
            resolved=len(self.resolved_s),
            by_status=counts(self.statuses, _STATUSES),
            by_severity=counts(self.severities, _SEVERITIES),
            mean_time_to_acknowledge_s=mean(self.acknowledged_s),
            mean_time_to_resolve_s=mean(self.resolved_s),
            rows=self.rows,
        )

    @property
    def unresolved(self) -> int:
        return self.statuses["open"] + self.statuses["active"]


def counts(found: Counter[str], known: Sequence[str] = ()) -> list[Count]:
    """Return counts in the order of `known`, zeros too, and then the others."""
    others = sorted((name for name in found if name not in known), key=lambda n: (-found[n], n))
    return [Count(name=name, count=found[name]) for name in (*known, *others)]


def mean(seconds: Sequence[float]) -> float | None:
    """Return the mean, or None of nothing."""
    return round(sum(seconds) / len(seconds), 3) if seconds else None


async def read_incidents(
    session: AsyncSession, extent: Extent, agents: Mapping[str, str]
) -> IncidentTotals:
    """Count the incidents that occurred or were handled in the period, and keep the newest."""
    totals = IncidentTotals()
    handled = select(IncidentChange.incident_id).where(extent.during(IncidentChange.at))
    query = (
        select(Incident)
        .where(
            extent.own(Incident.project_id, Incident.agent_id),
            or_(
                and_(
                    Incident.first_occurrence < extent.end,
                    Incident.last_occurrence >= extent.begin,
                ),
                Incident.id.in_(handled),
            ),
        )
        .options(defer(Incident.details))
        .order_by(Incident.last_occurrence.desc(), Incident.id.desc())
        .limit(_BATCH)
    )
    after: Incident | None = None
    while True:
        batch = query
        if after is not None:
            place = tuple_(Incident.last_occurrence, Incident.id)
            batch = query.where(place < tuple_(after.last_occurrence, after.id))
        found = (await session.scalars(batch)).all()
        moves = await _moves(session, [incident.id for incident in found])
        for incident in found:
            _count(totals, incident, moves[incident.id], extent, agents)
        if len(found) < _BATCH:
            return totals
        after = found[-1]
        session.expunge_all()


async def _moves(
    session: AsyncSession, ids: Sequence[str]
) -> defaultdict[str, list[IncidentChange]]:
    moves: defaultdict[str, list[IncidentChange]] = defaultdict(list)
    query = select(IncidentChange).where(IncidentChange.incident_id.in_(ids))
    for change in await session.scalars(query.order_by(IncidentChange.at, IncidentChange.id)):
        moves[change.incident_id].append(change)
    return moves


def _count(
    totals: IncidentTotals,
    incident: Incident,
    moves: Sequence[IncidentChange],
    extent: Extent,
    agents: Mapping[str, str],
) -> None:
    totals.total += 1
    totals.opened += extent.begin <= incident.first_occurrence < extent.end
    totals.last_occurred += extent.begin <= incident.last_occurrence < extent.end
    totals.statuses[incident.status] += 1
    totals.severities[incident.severity] += 1
    for status, waits in (("active", totals.acknowledged_s), ("resolved", totals.resolved_s)):
        found = [
            move.at
            for move in moves
            if move.to_status == status and extent.begin <= move.at < extent.end
        ]
        if found:
            # The first look, but the last resolution: what came back was not resolved before.
            at = found[0] if status == "active" else found[-1]
            waits.append(max(0.0, (at - incident.first_occurrence).total_seconds()))
    _count_policy(totals, incident)
    if len(totals.rows) < MOST_INCIDENTS:
        totals.rows.append(_row(incident, moves, agents))


def _count_policy(totals: IncidentTotals, incident: Incident) -> None:
    key = (incident.policy_id or incident.policy_name, incident.severity)
    known = totals.policies.get(key) or ViolationRow(
        policy_id=incident.policy_id,
        policy=incident.policy_name,
        severity=incident.severity,
        incidents=0,
        occurrences=0,
        warned=0,
        asked=0,
        blocked=0,
    )
    totals.policies[key] = replace(
        known,
        incidents=known.incidents + 1,
        occurrences=known.occurrences + incident.count,
    )


def _row(
    incident: Incident, moves: Sequence[IncidentChange], agents: Mapping[str, str]
) -> IncidentRow:
    return IncidentRow(
        id=incident.id,
        title=incident.title,
        policy=incident.policy_name,
        severity=incident.severity,
        status=incident.status,
        action=incident.action,
        agent=agents.get(incident.agent_id or "", incident.agent_id),
        environment=incident.environment,
        count=incident.count,
        first_occurrence=incident.first_occurrence,
        last_occurrence=incident.last_occurrence,
        moves=[
            IncidentMove(
                at=move.at,
                from_status=move.from_status,
                to_status=move.to_status,
                by=move.by_name,
                reason=move.reason,
            )
            for move in moves
        ],
    )


def violations_of(totals: IncidentTotals, findings: Iterable[PolicyFindings]) -> Violations:
    """Join what incidents and the gate tell of each policy, the severest first."""
    rows = dict(totals.policies)
    for found in findings:
        key = (found.policy_id or found.name, found.severity)
        known = rows.get(key) or ViolationRow(
            policy_id=found.policy_id,
            policy=found.name,
            severity=found.severity,
            incidents=0,
            occurrences=0,
            warned=0,
            asked=0,
            blocked=0,
        )
        rows[key] = replace(
            known,
            warned=found.by_action["warn"],
            asked=found.by_action["ask"],
            blocked=found.by_action["block"],
        )
    severities: Counter[str] = Counter()
    for row in rows.values():
        severities[row.severity] += row.occurrences
    return Violations(
        by_severity=counts(severities, _SEVERITIES),
        rows=sorted(rows.values(), key=_severest_first),
    )


def _severest_first(row: ViolationRow) -> tuple[int, int, str]:
    known = row.severity in _SEVERITIES
    rank = _SEVERITIES.index(row.severity) if known else len(_SEVERITIES)
    return rank, -row.occurrences, row.policy
