"""Facts about agents."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEvent(Event):
    """Shared fields of the events about agents."""

    subject: ClassVar[str] = "agent"
    agent_id: str
    key: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCreated(AgentEvent):
    type: ClassVar[str] = "agent.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRegistered(AgentEvent):
    type: ClassVar[str] = "agent.registered"
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentActivated(AgentEvent):
    type: ClassVar[str] = "agent.activated"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentUpdated(AgentEvent):
    type: ClassVar[str] = "agent.updated"
    version: int
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDeleted(AgentEvent):
    type: ClassVar[str] = "agent.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatusChanged(AgentEvent):
    type: ClassVar[str] = "agent.status"
    status: str
    is_started: bool
