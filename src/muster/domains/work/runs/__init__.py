"""Runs: executing agents durably, and everything one can do with an execution."""

from muster.domains.work.runs.bare_calls import BareCalls
from muster.domains.work.runs.dispatch import Dispatcher
from muster.domains.work.runs.errors import RunNotFound
from muster.domains.work.runs.execution import RunExecutor
from muster.domains.work.runs.external import (
    EXTERNAL_FENCE,
    begin_external,
    end_external,
    resume_external,
)
from muster.domains.work.runs.following import LiveItem, RunFollower, follow, wait_for_end
from muster.domains.work.runs.lifecycle import JOB_KIND, hold_line, wake_decided
from muster.domains.work.runs.parts import Detached, RunParts
from muster.domains.work.runs.presenting import mask, present
from muster.domains.work.runs.schemas import (
    ExecutionCreate,
    ExecutionOut,
    ForkRequest,
    RunFile,
    StopRequest,
)
from muster.domains.work.runs.service import RunService, snapshot_of

__all__ = [
    "EXTERNAL_FENCE",
    "JOB_KIND",
    "BareCalls",
    "Detached",
    "Dispatcher",
    "ExecutionCreate",
    "ExecutionOut",
    "ForkRequest",
    "LiveItem",
    "RunExecutor",
    "RunFile",
    "RunFollower",
    "RunNotFound",
    "RunParts",
    "RunService",
    "StopRequest",
    "begin_external",
    "end_external",
    "follow",
    "hold_line",
    "mask",
    "present",
    "resume_external",
    "snapshot_of",
    "wait_for_end",
    "wake_decided",
]
