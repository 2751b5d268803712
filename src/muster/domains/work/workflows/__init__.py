"""Workflows: graphs of nodes in any of the documented notations, checked, kept and drawn."""

from muster.domains.work.workflows.checking import References
from muster.domains.work.workflows.drawing import draw, draw_crew
from muster.domains.work.workflows.errors import WorkflowInvalid, WorkflowNotFound
from muster.domains.work.workflows.known import Known
from muster.domains.work.workflows.models import Workflow
from muster.domains.work.workflows.notations import Read, read_workflow, write_workflow
from muster.domains.work.workflows.presenting import read_stored, spec_of
from muster.domains.work.workflows.publishing import publish_workflow
from muster.domains.work.workflows.repository import find_workflow
from muster.domains.work.workflows.schemas import WorkflowCreate
from muster.domains.work.workflows.service import WorkflowService
from muster.domains.work.workflows.validating import problems_of

__all__ = [
    "Known",
    "Read",
    "References",
    "Workflow",
    "WorkflowCreate",
    "WorkflowInvalid",
    "WorkflowNotFound",
    "WorkflowService",
    "draw",
    "draw_crew",
    "find_workflow",
    "problems_of",
    "publish_workflow",
    "read_stored",
    "read_workflow",
    "spec_of",
    "write_workflow",
]
