"""Facts about reports."""

from datetime import datetime
from typing import ClassVar

from muster.platform.events import Event


class ReportRequested(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "report.requested"
    subject: ClassVar[str] = "report"
    report_id: str
    title: str
    format: str
    period_from: datetime
    period_to: datetime


class ReportCompleted(Event, frozen=True, kw_only=True):
    """The digest is in the log, so that a file can be recognised as the one that was made."""

    type: ClassVar[str] = "report.completed"
    subject: ClassVar[str] = "report"
    report_id: str
    title: str
    format: str
    size: int
    sha256: str


class ReportFailed(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "report.failed"
    subject: ClassVar[str] = "report"
    report_id: str
    title: str
    format: str
    reason: str


class ReportDeleted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "report.deleted"
    subject: ClassVar[str] = "report"
    report_id: str
    title: str
    format: str
