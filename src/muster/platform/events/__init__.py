"""Events: the append-only, hash-chained log of every change of state."""

from muster.platform.events.models import EventRecord
from muster.platform.events.recording import PLATFORM_CHAIN, Event, event_types, record, topic_of

__all__ = ["PLATFORM_CHAIN", "Event", "EventRecord", "event_types", "record", "topic_of"]
