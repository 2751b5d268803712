"""Triggers: what starts agents, tasks, crews and workflows by itself."""

from muster.domains.work.triggers.clock import TriggerClock
from muster.domains.work.triggers.follower import EventFollower
from muster.domains.work.triggers.models import Trigger
from muster.domains.work.triggers.schemas import TriggerCreate
from muster.domains.work.triggers.service import TriggerService

__all__ = ["EventFollower", "Trigger", "TriggerClock", "TriggerCreate", "TriggerService"]
