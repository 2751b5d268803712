"""Runs: executing agents durably, and everything one can do with an execution."""

from muster.domains.work.runs.agent_work import AgentSegment
from muster.domains.work.runs.bare_calls import BareCalls
from muster.domains.work.runs.children import run_child
from muster.domains.work.runs.creation import NewRun, insert_run
from muster.domains.work.runs.dispatch import Dispatcher
from muster.domains.work.runs.errors import RunNotFound, RunTargetMissing
from muster.domains.work.runs.evidence import rejected
from muster.domains.work.runs.execution import RunExecutor
from muster.domains.work.runs.external import (
    EXTERNAL_FENCE,
    begin_external,
    end_external,
    resume_external,
)
from muster.domains.work.runs.following import LiveItem, RunFollower, follow, wait_for_end
from muster.domains.work.runs.interruptions import Refused, StopAsked, Suspended, raise_first
from muster.domains.work.runs.lifecycle import (
    FOLLOWERS,
    JOB_KIND,
    Follower,
    RunMove,
    hold_line,
    wake_decided,
)
from muster.domains.work.runs.naming import run_name
from muster.domains.work.runs.parts import Detached, Frozen, RunParts
from muster.domains.work.runs.presenting import mask, may_be_masked, present
from muster.domains.work.runs.schemas import (
    ExecutionCreate,
    ExecutionOut,
    ForkRequest,
    RunFile,
    StopRequest,
)
from muster.domains.work.runs.segments import Answer, Segment
from muster.domains.work.runs.service import RunService, frozen_agent
from muster.domains.work.runs.steps import StepRunner, ToolUse
from muster.domains.work.runs.workspaces import prepare_workspace

__all__ = [
    "EXTERNAL_FENCE",
    "FOLLOWERS",
    "JOB_KIND",
    "AgentSegment",
    "Answer",
    "BareCalls",
    "Detached",
    "Dispatcher",
    "ExecutionCreate",
    "ExecutionOut",
    "Follower",
    "ForkRequest",
    "Frozen",
    "LiveItem",
    "NewRun",
    "Refused",
    "RunExecutor",
    "RunFile",
    "RunFollower",
    "RunMove",
    "RunNotFound",
    "RunParts",
    "RunService",
    "RunTargetMissing",
    "Segment",
    "StepRunner",
    "StopAsked",
    "StopRequest",
    "Suspended",
    "ToolUse",
    "begin_external",
    "end_external",
    "follow",
    "frozen_agent",
    "hold_line",
    "insert_run",
    "mask",
    "may_be_masked",
    "prepare_workspace",
    "present",
    "raise_first",
    "rejected",
    "resume_external",
    "run_child",
    "run_name",
    "wait_for_end",
    "wake_decided",
]
