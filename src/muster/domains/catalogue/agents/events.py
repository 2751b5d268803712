"""Facts about agents."""

from typing import ClassVar

from muster.platform.events import Event


class AgentEvent(Event, frozen=True, kw_only=True):
    """Shared fields of the events about agents."""

    subject: ClassVar[str] = "agent"
    agent_id: str
    key: str
    name: str


class AgentCreated(AgentEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent.created"


class AgentRegistered(AgentEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent.registered"
    account_id: str


class AgentActivated(AgentEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent.activated"


class AgentUpdated(AgentEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent.updated"
    version: int
    changed: list[str]


class AgentDeleted(AgentEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent.deleted"


class AgentStatusChanged(AgentEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "agent.status"
    status: str
    is_started: bool
