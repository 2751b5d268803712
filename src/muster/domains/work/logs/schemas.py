"""Answers and filters of logs."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from muster.domains.work.journal import StepKind, StepStatus
from muster.kernel.paging import CursorParams
from muster.kernel.schemas import UtcTime


class LogReceipt(BaseModel):
    """What was logged. `hash_tail` is the hash of the last step: keep it to prove later what the
    journal said.
    """

    steps_logged: int
    hash_tail: str
    agent_id: str
    task_id: str
    execution_id: Annotated[str, Field(description="The run that records the task.")]
    first_seq: Annotated[int, Field(description="Number of the first step in the task.")]
    last_seq: Annotated[int, Field(description="Number of the last one.")]
    incidents: Annotated[
        list[dict[str, Any]], Field(description="What policies found in these steps.")
    ]


class LogOut(BaseModel):
    """A step of a task. Times are UTC, `duration_ms` in milliseconds, `cost` in US dollars."""

    id: Annotated[str, Field(description="The run and the number of the step.")]
    execution_id: str
    task_id: Annotated[
        str, Field(description="The id that the agent has given the task, else the run's.")
    ]
    external: Annotated[bool, Field(description="Whether the agent runs elsewhere.")]
    agent_id: str | None
    seq: Annotated[int, Field(description="Number of the step in its task.")]
    kind: str
    verb: str | None
    step_name: str
    status: str
    timestamp: Annotated[UtcTime, Field(description="When the step ended.")]
    started_at: UtcTime
    duration_ms: float
    input: Any
    output: Any
    properties: dict[str, Any] | None
    decision: dict[str, Any] | None
    error: dict[str, Any] | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost: float | None
    hash: str
    previous_hash: str


class LogList(CursorParams):
    """Filters of the list of logged steps."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    agent_id: Annotated[str | None, Field(max_length=255, description="Only of this agent.")] = None
    task_id: Annotated[
        str | None, Field(max_length=255, description="Only of this task: its id, or the run's.")
    ] = None
    kind: Annotated[StepKind | None, Field(description="Only of this kind.")] = None
    status: Annotated[StepStatus | None, Field(description="Only those that ended so.")] = None
    from_: Annotated[UtcTime | None, Field(alias="from", description="Ended at or after.")] = None
    to: Annotated[UtcTime | None, Field(description="Ended before.")] = None
    external: Annotated[
        bool | None, Field(description="Only of agents that run elsewhere, or only of the others.")
    ] = None


class TaskStepList(CursorParams):
    """Which task is meant, and which part of it."""

    agent_id: Annotated[
        str | None, Field(max_length=255, description="Whose task, where several use its id.")
    ] = None


class TaskQuery(BaseModel):
    """Which task is meant."""

    agent_id: Annotated[
        str | None, Field(max_length=255, description="Whose task, where several use its id.")
    ] = None


class TaskVerification(BaseModel):
    """Whether the journal of a task is as it was written; if not, the first bad step and why."""

    task_id: str
    execution_id: str
    agent_id: str | None
    valid: bool
    steps: int
    head_hash: str
    first_bad_seq: int | None
    reason: str | None
