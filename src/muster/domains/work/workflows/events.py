"""Facts about workflows."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowEvent(Event):
    """Shared fields of the events about workflows."""

    subject: ClassVar[str] = "workflow"
    workflow_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowCreated(WorkflowEvent):
    type: ClassVar[str] = "workflow.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowUpdated(WorkflowEvent):
    type: ClassVar[str] = "workflow.updated"
    version: int
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDeleted(WorkflowEvent):
    type: ClassVar[str] = "workflow.deleted"
