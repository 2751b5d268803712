"""The gate: one in-process decision before every step, into which every kind of rule is plugged."""

from muster.domains.control.gate.checks import (
    ApprovalRequired,
    IterationLimit,
    RateLimit,
    TimeLimit,
    ToolPermission,
    standard_checks,
)
from muster.domains.control.gate.decision import (
    Action,
    ApprovalEvidence,
    Decision,
    Finding,
    IntendedStep,
    Limits,
    Outcome,
    Progress,
    ToolFacts,
    arguments_hash,
)
from muster.domains.control.gate.gate import Check, Gate

__all__ = [
    "Action",
    "ApprovalEvidence",
    "ApprovalRequired",
    "Check",
    "Decision",
    "Finding",
    "Gate",
    "IntendedStep",
    "IterationLimit",
    "Limits",
    "Outcome",
    "Progress",
    "RateLimit",
    "TimeLimit",
    "ToolFacts",
    "ToolPermission",
    "arguments_hash",
    "standard_checks",
]
