"""Facts about approvals. The arguments stay in the approval: an event may travel far."""

from typing import ClassVar

from muster.platform.events import Event


class ApprovalRequested(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "approval.requested"
    subject: ClassVar[str] = "approval"
    approval_id: str
    kind: str
    title: str
    run_id: str | None
    agent_id: str | None


class ApprovalApproved(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "approval.approved"
    subject: ClassVar[str] = "approval"
    approval_id: str
    run_id: str | None
    choice: str | None
    edited: bool


class ApprovalRejected(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "approval.rejected"
    subject: ClassVar[str] = "approval"
    approval_id: str
    run_id: str | None
    choice: str | None
    reason: str | None


class ApprovalWithdrawn(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "approval.withdrawn"
    subject: ClassVar[str] = "approval"
    approval_id: str
    run_id: str | None
