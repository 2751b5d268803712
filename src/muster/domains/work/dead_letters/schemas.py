"""Request and response bodies of dead letters."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

LetterStatus = Literal["waiting", "retried"]


class DeadLetterCreate(In):
    """A run that is to lie in the dead letters."""

    run_id: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            description="Id of a run that has ended, or of a task, whose last run is meant; "
            "`task_id` and `execution_id` say the same.",
            validation_alias=AliasChoices("run_id", "task_id", "execution_id"),
        ),
    ]
    reason: Annotated[
        str | None, Field(max_length=2000, description="Why.", examples=["Its answer is wrong"])
    ] = None


class DeadLetterList(ListParams):
    """Filters of the list of dead letters."""

    status: Annotated[LetterStatus | None, Field(description="Only with this status.")] = None
    kind: Annotated[str | None, Field(max_length=16, description="Only runs of this kind.")] = None
    agent_id: Annotated[str | None, Field(max_length=36, description="Only of this agent.")] = None
    search: Annotated[
        str | None, Field(max_length=255, description="Text in the run's name or the reason.")
    ] = None


class RetryAllRequest(In):
    """Which of those that wait are retried, the oldest first."""

    limit: Annotated[int, Field(ge=1, le=200, description="How many at most.")] = 100
    kind: Annotated[str | None, Field(max_length=16, description="Only runs of this kind.")] = None
    agent_id: Annotated[
        str | None, Field(max_length=36, description="Only of this agent.", examples=[None])
    ] = None


class LetterStep(Out):
    """A step of the run."""

    seq: int
    kind: str
    name: str
    status: str
    error: str | None


class LetterSteps(Out):
    """The steps of the run, in short."""

    total: int
    by_kind: dict[str, int]
    last: Annotated[list[LetterStep], Field(description="The last ones, in order.")]


class DeadLetterOut(RecordOut):
    """A run that came to nothing, with its whole context."""

    run_id: str
    task_id: Annotated[str, Field(description="The same as `run_id`.")]
    run_name: str
    kind: str
    agent_id: str | None
    target: Annotated[dict[str, Any], Field(description="What was run, and how.")]
    inputs: Annotated[dict[str, Any], Field(description="Secrets are masked.")]
    error: dict[str, Any] | None
    reason: str | None
    steps: LetterSteps
    attempts: int
    source: Annotated[str, Field(description="run: it failed; manual: a person laid it down.")]
    status: LetterStatus
    failed_at: UtcTime
    retried_at: UtcTime | None
    retry_run_id: str | None
    group_id: str


class RetryOut(Out):
    """What was started in the place of a run."""

    id: str
    status: LetterStatus
    run_id: str
    retry_run_id: Annotated[
        str | None,
        Field(description="Null for the task of a worker node: one claims it from the queue."),
    ]
    execution_id: Annotated[str | None, Field(description="The same as `retry_run_id`.")]


class RetryProblem(Out):
    """Why one could not be retried."""

    id: str
    code: str
    message: str


class RetryAllOut(Out):
    """How many were retried."""

    retried: int
    failed: int
    remaining: Annotated[int, Field(description="That wait still; call again for more.")]
    problems: list[RetryProblem]


class DeadLetterStats(Out):
    """How many dead letters there are."""

    total: int
    waiting: int
    retried: int
    last_24h: Annotated[int, Field(description="That came in the last 24 hours.")]
    by_kind: Annotated[dict[str, int], Field(description="Of those that wait.")]
    by_error: Annotated[dict[str, int], Field(description="Of those that wait, by error code.")]
    by_agent: Annotated[dict[str, int], Field(description="Of those that wait, by agent.")]
    oldest_at: UtcTime | None
    newest_at: UtcTime | None
