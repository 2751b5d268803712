"""Facts about collaboration sessions. What is said and shared stays in the session."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class _CollaborationFact(Event):
    subject: ClassVar[str] = "collaboration"
    collaboration_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CollaborationCreated(_CollaborationFact):
    type: ClassVar[str] = "collaboration.created"
    participants: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollaborationUpdated(_CollaborationFact):
    """`changed`: name, description, participants or context; `keys` are those of the context."""

    type: ClassVar[str] = "collaboration.updated"
    changed: list[str]
    keys: list[str]
    agent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollaborationClosedFact(_CollaborationFact):
    type: ClassVar[str] = "collaboration.closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollaborationDeleted(_CollaborationFact):
    type: ClassVar[str] = "collaboration.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollaborationMessageAdded(_CollaborationFact):
    type: ClassVar[str] = "collaboration.message"
    message_id: str
    seq: int
    agent_id: str | None
    message_type: str
