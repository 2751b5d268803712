"""Facts about incidents. The details stay in the incident: an event may travel far."""

from typing import ClassVar

from muster.platform.events import Event


class IncidentOpened(Event, frozen=True, kw_only=True):
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


class IncidentRepeated(Event, frozen=True, kw_only=True):
    """The count has reached another power of ten. Not every repeat is worth an event."""

    type: ClassVar[str] = "incident.repeated"
    subject: ClassVar[str] = "incident"
    incident_id: str
    severity: str
    policy_id: str | None
    policy_name: str
    agent_id: str | None
    count: int


class IncidentMoved(Event, frozen=True, kw_only=True):
    """Somebody has moved an incident; the kinds of it follow."""

    subject: ClassVar[str] = "incident"
    incident_id: str
    severity: str
    policy_id: str | None
    policy_name: str
    agent_id: str | None
    from_status: str
    reason: str | None


class IncidentAcknowledged(IncidentMoved, frozen=True, kw_only=True):
    type: ClassVar[str] = "incident.acknowledged"


class IncidentResolved(IncidentMoved, frozen=True, kw_only=True):
    type: ClassVar[str] = "incident.resolved"


class IncidentIgnored(IncidentMoved, frozen=True, kw_only=True):
    type: ClassVar[str] = "incident.ignored"


class IncidentReactivated(IncidentMoved, frozen=True, kw_only=True):
    type: ClassVar[str] = "incident.reactivated"
