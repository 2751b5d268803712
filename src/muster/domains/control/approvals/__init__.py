"""Approvals: durable questions to people, bound to the exact step and its arguments."""

from muster.domains.control.approvals.asking import (
    AGENT_REVIEW,
    ask,
    ask_about_agent,
    decisions_of,
    has_open,
    withdraw,
)
from muster.domains.control.approvals.models import Approval
from muster.domains.control.approvals.requests import ApprovalRequest, StepApproval
from muster.domains.control.approvals.service import ApprovalService

__all__ = [
    "AGENT_REVIEW",
    "Approval",
    "ApprovalRequest",
    "ApprovalService",
    "StepApproval",
    "ask",
    "ask_about_agent",
    "decisions_of",
    "has_open",
    "withdraw",
]
