"""Facts about agent projects."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class _AgentProjectFact(Event):
    subject: ClassVar[str] = "agent_project"
    agent_project_id: str
    key: str


class AgentProjectCreated(_AgentProjectFact):
    type: ClassVar[str] = "agent_project.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProjectUpdated(_AgentProjectFact):
    type: ClassVar[str] = "agent_project.updated"
    version: int
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProjectPublished(_AgentProjectFact):
    type: ClassVar[str] = "agent_project.published"
    version: int
    agent_id: str
    workflow_id: str
