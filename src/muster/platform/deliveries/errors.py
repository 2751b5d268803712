"""What can go wrong with deliveries, as a person meets it."""

from muster.kernel.errors import Conflict, NotFound


class DeliveryNotFound(NotFound):
    code, title = "delivery_not_found", "No such delivery in this project"


class DeliveryNotDead(Conflict):
    code, title = "delivery_not_dead", "Only a delivery that was given up can be sent again"
