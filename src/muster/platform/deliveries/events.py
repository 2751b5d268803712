"""Facts about deliveries. A success is in the delivery's own log and is no event."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent(Event):
    """Shared fields of the events about deliveries."""

    subject: ClassVar[str] = "delivery"
    delivery_id: str
    source_kind: str
    source_id: str
    event_id: str | None
    event_type: str
    attempts: int
    status_code: int | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(DeliveryEvent):
    """The first attempt has failed. Later failures are only in the delivery's log."""

    type: ClassVar[str] = "delivery.failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDead(DeliveryEvent):
    """The delivery was given up."""

    type: ClassVar[str] = "delivery.dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRetried(Event):
    """Somebody has let a delivery be sent again that was given up."""

    type: ClassVar[str] = "delivery.retried"
    subject: ClassVar[str] = "delivery"
    delivery_id: str
    source_kind: str
    source_id: str
