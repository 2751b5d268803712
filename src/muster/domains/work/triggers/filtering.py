"""Which events a trigger wants."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from muster.domains.work.plans import ExpressionInvalid, holds
from muster.domains.work.triggers.models import Trigger
from muster.kernel import clock
from muster.kernel.logging import get_logger
from muster.platform.events import EventRecord, Patterns

logger = get_logger(__name__)


def about(event: EventRecord) -> dict[str, Any]:
    """Return an event as filters and templates read it; its data is in it by name too."""
    return {
        **event.data,
        "id": event.id,
        "seq": event.seq,
        "type": event.type,
        "timestamp": clock.iso(event.created_at),
        "project_id": event.project_id,
        "actor": {"kind": event.actor_kind, "id": event.actor_id, "name": event.actor_name},
        "subject": {"type": event.subject_type, "id": event.subject_id},
        "data": event.data,
    }


@lru_cache(maxsize=1000)
def _patterns(texts: tuple[str, ...]) -> Patterns:
    return Patterns(texts)


def wants(trigger: Trigger, event: EventRecord, shown: Mapping[str, Any] | None = None) -> bool:
    """Tell whether an event is one of those that a trigger is for.

    Args:
        trigger: Of type `event`.
        event: The event.
        shown: What filters read; without it the filter is not asked.
    """
    if event.seq <= trigger.since_seq:
        return False
    if event.subject_type == "trigger" and event.subject_id == trigger.id:
        return False  # nobody means a trigger that fires because it fired
    if _patterns(tuple(trigger.config["events"])).name_for(event.type) is None:
        return False
    condition: str = trigger.config["filter"]
    return not condition or shown is None or _holds(trigger, condition, shown)


def _holds(trigger: Trigger, condition: str, shown: Mapping[str, Any]) -> bool:
    try:
        return holds(condition, {"event": shown})
    except ExpressionInvalid:
        return False
    except Exception:
        # One filter that goes wrong must not hold up the log for all others.
        logger.exception("trigger_filter_failed", trigger_id=trigger.id)
        return False
