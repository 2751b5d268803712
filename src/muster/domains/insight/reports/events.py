"""Facts about reports."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequested(Event):
    type: ClassVar[str] = "report.requested"
    subject: ClassVar[str] = "report"
    report_id: str
    title: str
    format: str
    period_from: datetime
    period_to: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCompleted(Event):
    """The digest is in the log, so that a file can be recognised as the one that was made."""

    type: ClassVar[str] = "report.completed"
    subject: ClassVar[str] = "report"
    report_id: str
    title: str
    format: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFailed(Event):
    type: ClassVar[str] = "report.failed"
    subject: ClassVar[str] = "report"
    report_id: str
    title: str
    format: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDeleted(Event):
    type: ClassVar[str] = "report.deleted"
    subject: ClassVar[str] = "report"
    report_id: str
    title: str
    format: str
