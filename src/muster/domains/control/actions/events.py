"""Facts about actions. Where they send to, and with which secrets, is in none of them."""

from typing import ClassVar

from muster.platform.events import Event


class ActionEvent(Event, frozen=True, kw_only=True):
    """Shared fields of the events about actions."""

    subject: ClassVar[str] = "action"
    action_id: str
    name: str
    kind: str


class ActionCreated(ActionEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "action.created"
    enabled: bool


class ActionUpdated(ActionEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "action.updated"
    changed: list[str]
    enabled: bool


class ActionDeleted(ActionEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "action.deleted"
