"""Facts about actions. Where they send to, and with which secrets, is in none of them."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionEvent(Event):
    """Shared fields of the events about actions."""

    subject: ClassVar[str] = "action"
    action_id: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCreated(ActionEvent):
    type: ClassVar[str] = "action.created"
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionUpdated(ActionEvent):
    type: ClassVar[str] = "action.updated"
    changed: list[str]
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDeleted(ActionEvent):
    type: ClassVar[str] = "action.deleted"
