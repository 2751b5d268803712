"""Reports: what happened in a range of time, as a document to hand to an auditor."""

from muster.domains.insight.reports.checks import CheckpointFacts, EventCheck, LogChecks
from muster.domains.insight.reports.dispatch import ReportDispatcher
from muster.domains.insight.reports.jobs import JOB_KIND
from muster.domains.insight.reports.making import ReportMaker
from muster.domains.insight.reports.models import Report
from muster.domains.insight.reports.parts import ReportParts

__all__ = [
    "JOB_KIND",
    "CheckpointFacts",
    "EventCheck",
    "LogChecks",
    "Report",
    "ReportDispatcher",
    "ReportMaker",
    "ReportParts",
]
