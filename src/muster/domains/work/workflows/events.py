"""Facts about workflows."""

from typing import ClassVar

from muster.platform.events import Event


class WorkflowEvent(Event, frozen=True, kw_only=True):
    """Shared fields of the events about workflows."""

    subject: ClassVar[str] = "workflow"
    workflow_id: str
    name: str


class WorkflowCreated(WorkflowEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "workflow.created"


class WorkflowUpdated(WorkflowEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "workflow.updated"
    version: int
    changed: list[str]


class WorkflowDeleted(WorkflowEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "workflow.deleted"
