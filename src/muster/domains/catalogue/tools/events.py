"""Facts about tools."""

from typing import ClassVar

from muster.platform.events import Event


class ToolEvent(Event, frozen=True, kw_only=True):
    """Shared fields of the events about tools."""

    subject: ClassVar[str] = "tool"
    tool_id: str
    name: str
    kind: str


class ToolCreated(ToolEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "tool.created"


class ToolUpdated(ToolEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "tool.updated"
    changed: list[str]


class ToolToggled(ToolEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "tool.toggled"
    enabled: bool


class ToolDeleted(ToolEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "tool.deleted"


class ToolTested(ToolEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "tool.tested"
    function: str | None
    ok: bool
