"""What the gate is told about a step: the tool it calls and what people decided."""

from muster.domains.catalogue.tools import BoundTool
from muster.domains.control.approvals import StepApproval
from muster.domains.control.gate import (
    Action,
    ApprovalEvidence,
    Finding,
    ToolFacts,
    arguments_hash,
)


def facts(name: str, tool: BoundTool | None) -> ToolFacts:
    """Return what the gate is told of a tool; None when the agent has no tool of this name."""
    if tool is None:
        return ToolFacts(
            name=name, kind="unknown", enabled=False, granted=False, requires_approval=False
        )
    return ToolFacts(
        name=name,
        kind=tool.kind,
        enabled=tool.enabled,
        granted=True,
        requires_approval=tool.requires_approval,
    )


def evidence(name: str, approval: StepApproval | None) -> ApprovalEvidence | None:
    """Return what a person decided as the gate weighs it."""
    if approval is None:
        return None
    arguments = approval.arguments
    return ApprovalEvidence(
        approval_id=approval.id,
        approved=approval.approved,
        arguments_hash=approval.arguments_hash
        if arguments is None
        else arguments_hash(name, arguments),
        decided_by=approval.decided_by,
        reason=approval.reason,
    )


def rejected(approval: StepApproval) -> Finding:
    """Return the finding that ends a run because a person wanted it so."""
    reason = f": {approval.reason}" if approval.reason else "."
    return Finding(
        check="approval",
        action=Action.BLOCK,
        code="rejected",
        message=f"{approval.decided_by} rejected it and ended the run{reason}",
        ends_run=True,
    )
