"""Actions: what is done by itself when an incident is opened or moves."""

from muster.domains.control.actions.deciding import decide_about_agent
from muster.domains.control.actions.delivering import ActionDelivery
from muster.domains.control.actions.models import Action
from muster.domains.control.actions.watching import SOURCE_KIND, IncidentWatcher

__all__ = [
    "SOURCE_KIND",
    "Action",
    "ActionDelivery",
    "IncidentWatcher",
    "decide_about_agent",
]
