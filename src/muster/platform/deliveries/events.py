"""Facts about deliveries. A success is in the delivery's own log and is no event."""

from typing import ClassVar

from muster.platform.events import Event


class DeliveryEvent(Event, frozen=True, kw_only=True):
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


class DeliveryFailed(DeliveryEvent, frozen=True, kw_only=True):
    """The first attempt has failed. Later failures are only in the delivery's log."""

    type: ClassVar[str] = "delivery.failed"


class DeliveryDead(DeliveryEvent, frozen=True, kw_only=True):
    """The delivery was given up."""

    type: ClassVar[str] = "delivery.dead"


class DeliveryRetried(Event, frozen=True, kw_only=True):
    """Somebody has let a delivery be sent again that was given up."""

    type: ClassVar[str] = "delivery.retried"
    subject: ClassVar[str] = "delivery"
    delivery_id: str
    source_kind: str
    source_id: str
