"""Durable jobs on DBOS: submitted once, executed by any working process, recovered when it dies."""

from muster.engine.engine import Engine
from muster.engine.jobs import Handler, Job, JobContext, Lost, Stop
from muster.engine.leases import ExecutorInfo
from muster.engine.models import Executor, JobSignal
from muster.engine.options import EngineOptions
from muster.engine.preparing import prepare

__all__ = [
    "Engine",
    "EngineOptions",
    "Executor",
    "ExecutorInfo",
    "Handler",
    "Job",
    "JobContext",
    "JobSignal",
    "Lost",
    "Stop",
    "prepare",
]
