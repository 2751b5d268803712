"""What can be wrong with reading the event log."""

from muster.kernel.errors import NotFound


class EventNotFound(NotFound):
    code, title = "event_not_found", "No such event in this project"


class EventChainNotFound(NotFound):
    code, title = "event_chain_not_found", "No event was ever recorded in this project"
