"""Events: the append-only, hash-chained log of every change of state."""

from muster.platform.events.models import EventRecord
from muster.platform.events.notations import documented_name
from muster.platform.events.patterns import Patterns, is_pattern
from muster.platform.events.recording import PLATFORM_CHAIN, Event, event_types, record, topic_of
from muster.platform.events.reference import event_reference
from muster.platform.events.tail import EventTail, Following, LiveEvent
from muster.platform.events.verifying import Verification, verify_chain

__all__ = [
    "PLATFORM_CHAIN",
    "Event",
    "EventRecord",
    "EventTail",
    "Following",
    "LiveEvent",
    "Patterns",
    "Verification",
    "documented_name",
    "event_reference",
    "event_types",
    "is_pattern",
    "record",
    "topic_of",
    "verify_chain",
]
