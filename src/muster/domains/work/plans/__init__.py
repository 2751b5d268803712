"""Plans: what crews, tasks and workflows are compiled to, and how a plan is executed."""

from muster.domains.work.plans.compiling import compile_crew, task_names
from muster.domains.work.plans.errors import NodeFailed, PlanEndless, PlanInvalid, PlanNotReady
from muster.domains.work.plans.expressions import (
    ExpressionInvalid,
    evaluate,
    holds,
    names_of,
    render,
    template_expressions,
)
from muster.domains.work.plans.freezing import Freezer, Shelf, Stored
from muster.domains.work.plans.nodes import NodeSpec, NodeType, Retry, Variable, WorkflowSpec
from muster.domains.work.plans.problems import PlanProblem, Severity
from muster.domains.work.plans.scope import node_key
from muster.domains.work.plans.starting import Launcher, Target, TargetKind, holds_workflow
from muster.domains.work.plans.tasks import CrewMember, CrewSpec, Guardian, Process, TaskSpec
from muster.domains.work.plans.work import PlanSegment

__all__ = [
    "CrewMember",
    "CrewSpec",
    "ExpressionInvalid",
    "Freezer",
    "Guardian",
    "Launcher",
    "NodeFailed",
    "NodeSpec",
    "NodeType",
    "PlanEndless",
    "PlanInvalid",
    "PlanNotReady",
    "PlanProblem",
    "PlanSegment",
    "Process",
    "Retry",
    "Severity",
    "Shelf",
    "Stored",
    "Target",
    "TargetKind",
    "TaskSpec",
    "Variable",
    "WorkflowSpec",
    "compile_crew",
    "evaluate",
    "holds",
    "holds_workflow",
    "names_of",
    "node_key",
    "render",
    "task_names",
    "template_expressions",
]
