"""Launching: from the name of an agent, task, crew or workflow to a run of it."""

from muster.domains.work.launching.following import follow_task
from muster.domains.work.launching.launcher import Launcher
from muster.domains.work.launching.stored_tasks import tasks_of

__all__ = ["Launcher", "follow_task", "tasks_of"]
