"""Facts about agent projects."""

from typing import ClassVar

from muster.platform.events import Event


class _AgentProjectFact(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "agent_project"
    agent_project_id: str
    key: str


class AgentProjectCreated(_AgentProjectFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent_project.created"


class AgentProjectUpdated(_AgentProjectFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent_project.updated"
    version: int
    changed: list[str]


class AgentProjectPublished(_AgentProjectFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent_project.published"
    version: int
    agent_id: str
    workflow_id: str
