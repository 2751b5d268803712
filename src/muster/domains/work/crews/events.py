"""Facts about crews."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewEvent(Event):
    """Shared fields of the events about crews."""

    subject: ClassVar[str] = "crew"
    crew_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewCreated(CrewEvent):
    type: ClassVar[str] = "crew.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewUpdated(CrewEvent):
    type: ClassVar[str] = "crew.updated"
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewDeleted(CrewEvent):
    type: ClassVar[str] = "crew.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewRated(CrewEvent):
    type: ClassVar[str] = "crew.rated"
    feedback_id: str
    rating: str
