"""What a report says, as one typed document that every format is rendered from.

Moments are aware and in UTC, durations in seconds, amounts in US dollars. A list that is cut off
says so: `total` beside it counts all.
"""

from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from typing import Any

from muster.domains.insight.reports.checks import CheckpointFacts, EventCheck
from muster.kernel import clock

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What the report is of, and who had it made when."""

    report_id: str
    title: str
    project_id: str
    project_name: str
    period_from: datetime
    period_to: datetime
    as_of: datetime
    requested_by: str
    requested_at: datetime
    only_agents: list[str]
    only_environment: str | None
    only_framework: str | None
    product: str
    format_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The key figures; each is in its section again."""

    agents: int
    runs: int
    steps: int
    decisions: int
    blocked: int
    incidents: int
    unresolved_incidents: int
    approvals: int
    pending_approvals: int
    model_calls: int
    cost: float
    unpriced_calls: int
    changes: int
    events_valid: bool
    runs_valid: int
    runs_invalid: int
    framework_items: int
    framework_gaps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How often something was found."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCount:
    """How many runs or steps of a kind have a status."""

    kind: str
    status: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """An agent as it is defined now, and what it did in the period."""

    id: str
    key: str
    name: str
    kind: str
    is_external: bool
    risk_classification: str
    environment: str
    owner: str | None
    is_active: bool
    runs: int
    steps: int
    model_calls: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """Agents that existed in the period."""

    total: int
    rows: list[AgentRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """What happened on one day, in UTC."""

    date: date
    steps: int
    model_calls: int
    unpriced_calls: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Runs that were created, and steps that ended, in the period."""

    runs: int
    runs_by_kind: list[KindCount]
    steps: int
    steps_by_kind: list[KindCount]
    days: list[DayRow]
    unreadable_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """How often one check of the gate found what."""

    check: str
    action: str
    findings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What the gate answered about steps of the period, as the journal keeps it."""

    total: int
    by_action: list[Count]
    by_check: list[CheckRow]
    unreadable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationRow:
    """What became of one policy: its incidents, and the findings of the gate in the period."""

    policy_id: str | None
    policy: str
    severity: str
    incidents: int
    occurrences: int
    warned: int
    asked: int
    blocked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Violations:
    """Violations by policy and severity."""

    by_severity: list[Count]
    rows: list[ViolationRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentMove:
    """A change of an incident's status."""

    at: datetime
    from_status: str | None
    to_status: str
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """An incident with its handling."""

    id: str
    title: str
    policy: str
    severity: str
    status: str
    action: str
    agent: str | None
    environment: str | None
    count: int
    first_occurrence: datetime
    last_occurrence: datetime
    moves: list[IncidentMove]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidents:
    """Incidents that occurred or were handled in the period; `rows` has the newest of them."""

    total: int
    opened: int
    last_occurred: int
    resolved: int
    by_status: list[Count]
    by_severity: list[Count]
    mean_time_to_acknowledge_s: float | None
    mean_time_to_resolve_s: float | None
    rows: list[IncidentRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRow:
    """A question to people and what became of it."""

    id: str
    kind: str
    title: str
    status: str
    agent: str | None
    run_id: str | None
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    waited_s: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """Approvals that were asked for or decided in the period."""

    total: int
    by_status: list[Count]
    mean_wait_s: float | None
    longest_wait_s: float | None
    rows: list[ApprovalRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """What calls of models used and cost; `unpriced_calls` are in no amount."""

    id: str | None
    name: str | None
    cost: float
    calls: int
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Sums over the journal."""

    currency: str
    total: CostRow
    by_agent: list[CostRow]
    by_provider: list[CostRow]
    by_model: list[CostRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """An event that tells of a change of access, policies or configuration."""

    seq: int
    at: datetime
    type: str
    by: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes in the period, the newest of them in `rows`."""

    total: int
    by_type: list[Count]
    rows: list[ChangeRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRun:
    """A run whose steps are not as they were recorded."""

    run_id: str
    name: str
    first_bad_seq: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrity:
    """Whether what the report was made of is as it was recorded."""

    events: EventCheck
    runs: int
    runs_valid: int
    runs_invalid: int
    steps: int
    invalid: list[InvalidRun]
    checkpoint: CheckpointFacts | None
    checkpoint_problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedPolicy:
    """A policy of a framework, and how it stands in the project."""

    name: str
    is_active: bool
    binds: str
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedItem:
    """An article or item of a framework; `state` is held, partial or gap, `gap` says why."""

    reference: str
    title: str
    state: str
    gap: str | None
    violations: int
    policies: list[MappedPolicy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """How a framework's items stand."""

    id: str
    name: str
    version: str
    is_applied: bool
    held: int
    partial: int
    gaps: int
    items: list[MappedItem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report. `notes` say what a reader has to know to read the figures right."""

    cover: Cover
    summary: Summary
    agents: Agents
    activity: Activity
    decisions: Decisions
    violations: Violations
    incidents: Incidents
    approvals: Approvals
    costs: Costs
    changes: Changes
    integrity: Integrity
    frameworks: list[Framework]
    notes: list[str]


def plain(value: Any) -> Any:
    """Return a document, or a part of it, as JSON knows it."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, datetime):
        return clock.iso(value)
    return value.isoformat() if isinstance(value, date) else value
