"""Facts about collaboration sessions. What is said and shared stays in the session."""

from typing import ClassVar

from muster.platform.events import Event


class _CollaborationFact(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "collaboration"
    collaboration_id: str
    name: str


class CollaborationCreated(_CollaborationFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "collaboration.created"
    participants: list[str]


class CollaborationUpdated(_CollaborationFact, frozen=True, kw_only=True):
    """`changed`: name, description, participants or context; `keys` are those of the context."""

    type: ClassVar[str] = "collaboration.updated"
    changed: list[str]
    keys: list[str]
    agent_id: str | None


class CollaborationClosedFact(_CollaborationFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "collaboration.closed"


class CollaborationDeleted(_CollaborationFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "collaboration.deleted"


class CollaborationMessageAdded(_CollaborationFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "collaboration.message"
    message_id: str
    seq: int
    agent_id: str | None
    message_type: str
