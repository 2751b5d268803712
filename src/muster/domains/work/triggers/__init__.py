"""Triggers: what starts agents, tasks, crews and workflows by itself."""

from muster.domains.work.triggers.clock import TriggerClock
from muster.domains.work.triggers.follower import EventFollower
from muster.domains.work.triggers.models import Trigger
from muster.domains.work.triggers.service import TriggerService
from muster.domains.work.triggers.targets import Launcher, Target

__all__ = ["EventFollower", "Launcher", "Target", "Trigger", "TriggerClock", "TriggerService"]
