"""Facts about approvals. The arguments stay in the approval: an event may travel far."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(Event):
    type: ClassVar[str] = "approval.requested"
    subject: ClassVar[str] = "approval"
    approval_id: str
    kind: str
    title: str
    run_id: str | None
    agent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalApproved(Event):
    type: ClassVar[str] = "approval.approved"
    subject: ClassVar[str] = "approval"
    approval_id: str
    run_id: str | None
    choice: str | None
    edited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRejected(Event):
    type: ClassVar[str] = "approval.rejected"
    subject: ClassVar[str] = "approval"
    approval_id: str
    run_id: str | None
    choice: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalWithdrawn(Event):
    type: ClassVar[str] = "approval.withdrawn"
    subject: ClassVar[str] = "approval"
    approval_id: str
    run_id: str | None
