"""Deliveries: what is sent out because something happened, until it has arrived or is given up."""

from muster.platform.deliveries.courier import Courier, Deliver
from muster.platform.deliveries.errors import DeliveryNotDead, DeliveryNotFound
from muster.platform.deliveries.models import Delivery, DeliveryAttempt
from muster.platform.deliveries.outgoing import Happening, Outgoing, Postponed
from muster.platform.deliveries.schemas import (
    DeliveryDetail,
    DeliveryList,
    DeliveryOut,
)
from muster.platform.deliveries.service import DeliveryService

__all__ = [
    "Courier",
    "Deliver",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryDetail",
    "DeliveryList",
    "DeliveryNotDead",
    "DeliveryNotFound",
    "DeliveryOut",
    "DeliveryService",
    "Happening",
    "Outgoing",
    "Postponed",
]
