"""Plans: what crews, tasks and workflows are compiled to, and how a plan is executed."""

from muster.domains.work.plans.expressions import (
    ExpressionInvalid,
    evaluate,
    holds,
    names_of,
    render,
    template_expressions,
)
from muster.domains.work.plans.nodes import NodeSpec, NodeType, Retry, Variable, WorkflowSpec
from muster.domains.work.plans.tasks import CrewMember, CrewSpec, Guardian, Process, TaskSpec

__all__ = [
    "CrewMember",
    "CrewSpec",
    "ExpressionInvalid",
    "Guardian",
    "NodeSpec",
    "NodeType",
    "Process",
    "Retry",
    "TaskSpec",
    "Variable",
    "WorkflowSpec",
    "evaluate",
    "holds",
    "names_of",
    "render",
    "template_expressions",
]
