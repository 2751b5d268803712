"""Telling of incidents: the event, and whoever was set to hear of it in the same unit of work."""

from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.incidents.models import Incident
from muster.platform import events
from muster.platform.access import Caller
from muster.platform.events import Event

HEARD_BY = "incidents_heard_by"
"""Under this name the database's `info` has the one who hears of every incident."""


class Heard(Protocol):
    """Hears of a fact about an incident, before the commit."""

    def __call__(self, session: AsyncSession, incident: Incident, event_type: str) -> None: ...


def tell(session: AsyncSession, caller: Caller, incident: Incident, fact: Event) -> None:
    """Record a fact about an incident and let it be heard of."""
    events.record(session, caller, fact)
    heard: Heard | None = session.info.get(HEARD_BY)
    if heard is not None:
        heard(session, incident, fact.type)
