"""System: whether this installation is well, and its metrics."""

from muster.platform.system.health import ExecutorSource, Health, HealthReport

__all__ = ["ExecutorSource", "Health", "HealthReport"]
