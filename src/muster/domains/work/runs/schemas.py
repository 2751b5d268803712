"""Request and response bodies of executions."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, Field

from muster.domains.work.journal import RunStatus
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, UtcTime

_MAX_FILE = 1_000_000


class RunPriority(StrEnum):
    """Priority by name; the queue works the higher ones first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def number(self) -> int:
        return {"critical": 1, "high": 50, "normal": 100, "low": 200}[self.value]


class RunFile(In):
    """A text file that is put into the run's workspace."""

    path: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*$",
            description="Relative path in the workspace.",
            examples=["report.md"],
        ),
    ]
    content: Annotated[str, Field(max_length=_MAX_FILE, description="Text of the file.")]


_TASK = AliasChoices("task_id", "task")
_CREW = AliasChoices("crew_id", "crew")
_WORKFLOW = AliasChoices("workflow_id", "flow_id")


class ExecutionCreate(In):
    """What to run, and on what."""

    agent_id: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Id, key or name of the agent.",
            examples=["document-analyst"],
            validation_alias=AliasChoices("agent_id", "agent"),
        ),
    ] = None
    inputs: Annotated[
        dict[str, Any],
        Field(
            description="Values for the `{placeholders}` of the agent; `prompt` is the question.",
            examples=[{"prompt": "What does the contract say about notice?"}],
        ),
    ] = {}  # noqa: RUF012 - Pydantic copies it
    model: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Model to use in place of the agent's own; of a crew or a workflow, for "
            "those of its agents that name none.",
        ),
    ] = None
    run_name: Annotated[
        str | None, Field(max_length=255, description="Name of the run; else one is made up.")
    ] = None
    priority: Annotated[RunPriority, Field(description="Place in the queue.")] = RunPriority.NORMAL
    timeout_s: Annotated[
        int | None, Field(ge=1, le=604_800, description="Longest active time, in seconds.")
    ] = None
    files: Annotated[
        list[RunFile], Field(max_length=50, description="Text files for the run's workspace.")
    ] = []  # noqa: RUF012
    task_id: Annotated[
        str | None,
        Field(max_length=255, description="Id or name of a task.", validation_alias=_TASK),
    ] = None
    crew_id: Annotated[
        str | None,
        Field(max_length=255, description="Id or name of a crew.", validation_alias=_CREW),
    ] = None
    workflow_id: Annotated[
        str | None,
        Field(max_length=255, description="Id or name of a workflow.", validation_alias=_WORKFLOW),
    ] = None
    agents_yaml: Annotated[
        str | dict[str, Any] | list[Any] | None,
        Field(description="Agents of a crew that is not stored, as YAML, JSON or an object."),
    ] = None
    tasks_yaml: Annotated[
        str | dict[str, Any] | list[Any] | None,
        Field(description="Tasks of a crew that is not stored, as YAML, JSON or an object."),
    ] = None
    crew_name: Annotated[
        str | None, Field(max_length=255, description="Of a crew that is not stored.")
    ] = None
    process: Annotated[
        Literal["sequential", "hierarchical"], Field(description="Of a crew that is not stored.")
    ] = "sequential"
    manager_llm: Annotated[
        str | None, Field(max_length=255, description="Of a crew that is not stored.")
    ] = None
    workflow: Annotated[
        str | dict[str, Any] | None,
        Field(
            description="A workflow that is not stored, in any of the notations.",
            validation_alias=AliasChoices("workflow", "flow_config", "workflow_definition"),
        ),
    ] = None
    execution_type: Annotated[
        Literal["agent", "task", "crew", "workflow", "flow"] | None,
        Field(
            description="Kind of what is run, `flow` being a workflow. What is given says it as "
            "well; one that contradicts it is refused."
        ),
    ] = None
    group_id: Annotated[str | None, Field(description="The project; the header says the same.")] = (
        None
    )


class ExecutionStarted(BaseModel):
    """The answer at once: the run exists and will be executed."""

    execution_id: str
    status: str
    message: str
    run_name: str


class RunUsage(Out):
    """Tokens and cost. `cost` is in US dollars, null while any call has no known price."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    model_calls: int
    tool_calls: int
    cost: float | None
    known_cost: float
    unpriced_calls: int


class StartedBy(Out):
    kind: str
    id: str
    name: str


class ExecutionOut(Out):
    """A run."""

    id: str
    execution_id: str
    run_name: str
    name: str
    execution_type: Annotated[
        str,
        Field(
            description="agent, task, crew, workflow, or external: it happens elsewhere and is "
            "recorded here."
        ),
    ]
    task_id: str | None
    crew_id: str | None
    workflow_id: str | None
    status: str
    agent_id: str | None
    agent_name: str | None
    agent_version: int | None
    model: str | None
    inputs: Annotated[dict[str, Any], Field(description="Secrets are masked.")]
    result: Any
    result_data: Annotated[
        dict[str, Any] | None, Field(description="The result, always as an object.")
    ]
    error: dict[str, Any] | None
    status_reason: str | None
    usage: RunUsage
    origin: Annotated[str, Field(description="start, retry, fork, agent, plan, queue or trigger.")]
    origin_run_id: str | None
    origin_seq: int | None
    parent_run_id: str | None
    started_by: StartedBy
    priority: int
    timeout_s: int
    segment: Annotated[int, Field(description="How often the run was taken up.")]
    steps: Annotated[int, Field(description="Steps in the journal.")]
    head_hash: Annotated[str, Field(description="Hash of the newest step.")]
    duration_ms: float | None
    group_id: str
    created_at: UtcTime
    started_at: UtcTime | None
    completed_at: UtcTime | None
    updated_at: UtcTime


class RunProgress(BaseModel):
    """How far a run is. A run of an agent is one task; of a plan, the nodes that do something."""

    total_tasks: int
    completed_tasks: int
    running_tasks: int
    current_task: str | None
    steps: int
    model_calls: int
    tool_calls: int


class ExecutionStatusOut(BaseModel):
    execution_id: str
    status: str
    is_stopping: bool
    stopped_at: UtcTime | None
    stop_reason: str | None
    progress: RunProgress


def _known_statuses(value: str | None) -> str | None:
    if value is None:
        return None
    names = [name.strip().lower() for name in value.split(",") if name.strip()]
    return ",".join(RunStatus(name).value for name in names) or None


StatusFilter = Annotated[
    str | None,
    AfterValidator(_known_statuses),
    Field(description="Status, in any case; several are separated by commas."),
]


class ExecutionList(ListParams):
    """Filters of the list of runs."""

    status: StatusFilter = None
    agent_id: Annotated[str | None, Field(description="Only of this agent.")] = None
    task_id: Annotated[str | None, Field(description="Only of this task.")] = None
    crew_id: Annotated[str | None, Field(description="Only of this crew.")] = None
    workflow_id: Annotated[str | None, Field(description="Only of this workflow.")] = None
    execution_type: Annotated[
        Literal["agent", "task", "crew", "workflow", "external"] | None,
        Field(description="Only of this kind."),
    ] = None
    search: Annotated[str | None, Field(max_length=200, description="Name contains.")] = None
    origin: Annotated[
        Literal["start", "retry", "fork", "agent", "plan", "queue", "trigger"] | None,
        Field(
            description="Only those that came about so; `agent`: started by an agent, `plan`: by a "
            "task, crew or workflow, `queue`: of a task that waited for its agent."
        ),
    ] = None
    parent_run_id: Annotated[str | None, Field(description="Only those that this one began.")] = (
        None
    )
    created_from: Annotated[UtcTime | None, Field(description="Created at or after.")] = None
    created_to: Annotated[UtcTime | None, Field(description="Created before.")] = None


class StopRequest(In):
    """How to stop a run."""

    stop_type: Annotated[
        Literal["graceful", "force"],
        Field(description="graceful: after the present step; force: at once."),
    ] = "graceful"
    reason: Annotated[
        str | None, Field(max_length=1000, description="Why.", examples=["Wrong input"])
    ] = None
    preserve_partial_results: Annotated[
        bool, Field(description="Keep what was reached as the run's result.")
    ] = True


class CancelRequest(In):
    reason: Annotated[
        str | None, Field(max_length=1000, description="Why.", examples=["Wrong input"])
    ] = None


class StopAnswer(BaseModel):
    execution_id: str
    status: str
    message: str
    partial_results: list[dict[str, Any]] | None


class ForkRequest(In):
    """Start a new run that shares the first steps of this one."""

    from_seq: Annotated[
        int,
        Field(
            ge=1,
            le=2**31 - 1,
            description="The last step to keep; everything after it happens anew.",
            examples=[4],
            validation_alias=AliasChoices("from_seq", "from_step", "seq"),
        ),
    ]
    inputs: Annotated[
        dict[str, Any] | None, Field(description="Other inputs; those of the run when absent.")
    ] = None
    model: Annotated[str | None, Field(max_length=255)] = None
    run_name: Annotated[str | None, Field(max_length=255)] = None


class NameRequest(In):
    """What a name is wanted for."""

    agents_yaml: str | dict[str, Any] | list[Any] | None = None
    tasks_yaml: str | dict[str, Any] | list[Any] | None = None
    agent_id: Annotated[str | None, Field(max_length=255)] = None
    inputs: Annotated[
        dict[str, Any] | None,
        Field(examples=[{"prompt": "Compare the two offers for the new warehouse"}]),
    ] = None
    model: Annotated[str | None, Field(max_length=255)] = None


class NameAnswer(BaseModel):
    name: str


class HistoryList(ListParams):
    """Filters of the history: ended runs."""

    status: StatusFilter = None
    agent_id: Annotated[str | None, Field(description="Only of this agent.")] = None
    search: Annotated[str | None, Field(max_length=200, description="Name contains.")] = None
