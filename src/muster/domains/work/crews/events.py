"""Facts about crews."""

from typing import ClassVar

from muster.platform.events import Event


class CrewEvent(Event, frozen=True, kw_only=True):
    """Shared fields of the events about crews."""

    subject: ClassVar[str] = "crew"
    crew_id: str
    name: str


class CrewCreated(CrewEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "crew.created"


class CrewUpdated(CrewEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "crew.updated"
    changed: list[str]


class CrewDeleted(CrewEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "crew.deleted"


class CrewRated(CrewEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "crew.rated"
    feedback_id: str
    rating: str
