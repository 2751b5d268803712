"""Facts about triggers."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFact(Event):
    """Shared fields of the facts about triggers."""

    subject: ClassVar[str] = "trigger"
    trigger_id: str
    name: str
    trigger_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerCreated(TriggerFact):
    type: ClassVar[str] = "trigger.created"
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerUpdated(TriggerFact):
    type: ClassVar[str] = "trigger.updated"
    changed: list[str]
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerDeleted(TriggerFact):
    type: ClassVar[str] = "trigger.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFired(TriggerFact):
    """The run was started."""

    type: ClassVar[str] = "trigger.fired"
    firing_id: str
    run_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRetried(TriggerFact):
    """Somebody wants what failed to be started after all."""

    type: ClassVar[str] = "trigger.retried"
    firing_id: str
    run_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFailed(TriggerFact):
    """It fired, and what it should start could not be started."""

    type: ClassVar[str] = "trigger.failed"
    firing_id: str
    run_id: str
    source: str
    reason: str
