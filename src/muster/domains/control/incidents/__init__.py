"""Incidents: what broke policies, counted while it repeats, and what people did about it."""

from muster.domains.control.incidents.models import Incident, IncidentChange
from muster.domains.control.incidents.reporting import report
from muster.domains.control.incidents.telling import HEARD_BY
from muster.domains.control.incidents.violation import SEVERITIES, Severity, Violation

__all__ = [
    "HEARD_BY",
    "SEVERITIES",
    "Incident",
    "IncidentChange",
    "Severity",
    "Violation",
    "report",
]
