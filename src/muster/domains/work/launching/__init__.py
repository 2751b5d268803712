"""Launching: from the name of an agent, task, crew or workflow to a run of it."""

from muster.domains.work.launching.launcher import Launcher
from muster.domains.work.launching.stored import StoredDefinitions, tasks_of
from muster.domains.work.launching.targets import Target, TargetKind

__all__ = ["Launcher", "StoredDefinitions", "Target", "TargetKind", "tasks_of"]
