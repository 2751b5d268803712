"""Facts about tools."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEvent(Event):
    """Shared fields of the events about tools."""

    subject: ClassVar[str] = "tool"
    tool_id: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCreated(ToolEvent):
    type: ClassVar[str] = "tool.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUpdated(ToolEvent):
    type: ClassVar[str] = "tool.updated"
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolToggled(ToolEvent):
    type: ClassVar[str] = "tool.toggled"
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDeleted(ToolEvent):
    type: ClassVar[str] = "tool.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolTested(ToolEvent):
    type: ClassVar[str] = "tool.tested"
    function: str | None
    ok: bool
