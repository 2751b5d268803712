"""Facts about incidents. The details stay in the incident: an event may travel far."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened(Event):
    type: ClassVar[str] = "incident.opened"
    subject: ClassVar[str] = "incident"
    incident_id: str
    title: str
    severity: str
    action: str
    policy_id: str | None
    policy_name: str
    rule_type: str | None
    agent_id: str | None
    environment: str | None
    task_id: str | None
    run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRepeated(Event):
    """The count has reached another power of ten. Not every repeat is worth an event."""

    type: ClassVar[str] = "incident.repeated"
    subject: ClassVar[str] = "incident"
    incident_id: str
    severity: str
    policy_id: str | None
    policy_name: str
    agent_id: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentMoved(Event):
    """Somebody has moved an incident; the kinds of it follow."""

    subject: ClassVar[str] = "incident"
    incident_id: str
    severity: str
    policy_id: str | None
    policy_name: str
    agent_id: str | None
    from_status: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAcknowledged(IncidentMoved):
    type: ClassVar[str] = "incident.acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentResolved(IncidentMoved):
    type: ClassVar[str] = "incident.resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentIgnored(IncidentMoved):
    type: ClassVar[str] = "incident.ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentReactivated(IncidentMoved):
    type: ClassVar[str] = "incident.reactivated"
