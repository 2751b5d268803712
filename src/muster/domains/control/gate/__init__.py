"""The gate: one in-process decision before every step, into which every kind of rule is plugged."""

from muster.domains.control.gate.checks import (
    MODEL_KIND,
    ApprovalRequired,
    IterationLimit,
    RateLimit,
    StatelessCheck,
    TimeLimit,
    ToolPermission,
    standard_checks,
)
from muster.domains.control.gate.decision import (
    BARE_KEY,
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
    "BARE_KEY",
    "MODEL_KIND",
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
    "StatelessCheck",
    "TimeLimit",
    "ToolFacts",
    "ToolPermission",
    "arguments_hash",
    "standard_checks",
]
