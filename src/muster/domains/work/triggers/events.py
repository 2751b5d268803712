"""Facts about triggers."""

from typing import ClassVar

from muster.platform.events import Event


class TriggerFact(Event, frozen=True, kw_only=True):
    """Shared fields of the facts about triggers."""

    subject: ClassVar[str] = "trigger"
    trigger_id: str
    name: str
    trigger_type: str


class TriggerCreated(TriggerFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "trigger.created"
    enabled: bool


class TriggerUpdated(TriggerFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "trigger.updated"
    changed: list[str]
    enabled: bool


class TriggerDeleted(TriggerFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "trigger.deleted"


class TriggerFired(TriggerFact, frozen=True, kw_only=True):
    """The run was started."""

    type: ClassVar[str] = "trigger.fired"
    firing_id: str
    run_id: str
    source: str


class TriggerRetried(TriggerFact, frozen=True, kw_only=True):
    """Somebody wants what failed to be started after all."""

    type: ClassVar[str] = "trigger.retried"
    firing_id: str
    run_id: str
    source: str


class TriggerFailed(TriggerFact, frozen=True, kw_only=True):
    """It fired, and what it should start could not be started."""

    type: ClassVar[str] = "trigger.failed"
    firing_id: str
    run_id: str
    source: str
    reason: str
