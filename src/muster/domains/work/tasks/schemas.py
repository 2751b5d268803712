"""Request and response bodies of tasks."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from muster.domains.work.tasks.readiness import TaskConfigurationStatus
from muster.domains.work.tasks.spec import Moment, TaskDefinition
from muster.domains.work.tasks.statuses import TaskPriority, TaskStatus, read_priority
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, UtcTime

_SHOWN_ONLY = {
    "id",
    "task_id",
    "agent_name",
    "is_overdue",
    "result",
    "output",
    "error",
    "last_run_id",
    "worker_id",
    "lease_until",
    "created_by",
    "created_by_name",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "configuration_status",
    "group_id",
    "project_id",
}


def without_shown(data: Any) -> Any:
    """Drop the fields that answers show and requests cannot set."""
    if not isinstance(data, dict):
        return data
    values: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
    return {name: value for name, value in values.items() if name not in _SHOWN_ONLY}


class TaskCreate(TaskDefinition):
    """A new task. Fields that answers only show (id, result, ...) are passed over, so that what
    was read can be sent back.
    """

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        str_strip_whitespace=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Research Task",
                    "description": "Research the latest developments in AI",
                    "expected_output": "A comprehensive report on AI developments",
                    "agent": "research_agent",
                    "tools": ["calculator"],
                    "priority": "high",
                }
            ]
        },
    )

    status: Annotated[
        TaskStatus | None,
        Field(description="`draft` keeps it out of the queue; any other is passed over."),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _drop_shown(cls, data: Any) -> Any:
        return without_shown(data)


class TaskReplace(TaskCreate):
    """The whole definition; what is left out gets its default."""


class TaskPatch(BaseModel):
    """Any of the fields of a task; those that are left out keep their values.

    Null clears a field, or gives it its default. `status` takes `draft` and `pending`: out of the
    queue, and back into it.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"priority": "high", "agent": "research_agent"}]},
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_shown(cls, data: Any) -> Any:
        return without_shown(data)

    def changes(self) -> dict[str, Any]:
        """Return the given fields, as they were spelled."""
        return dict(self.model_extra or {})


class TaskOut(Out):
    """A task, under every documented spelling of its fields."""

    id: str
    task_id: str
    key: str | None
    name: str
    title: str
    description: str
    instructions: str | None
    expected_output: str | None
    agent: Annotated[str | None, Field(description="The agent as it was named.")]
    agent_id: Annotated[str | None, Field(description="Whom that means; null where it is nobody.")]
    agent_name: str | None
    tools: list[str]
    required_tools: list[str]
    tool_configs: dict[str, dict[str, Any]]
    context: list[str]
    async_execution: bool
    output_schema: Any
    output_json: Any
    output_pydantic: Any
    output_file: str | None
    markdown: bool
    guardrail: str | None
    llm_guardrail: dict[str, Any] | None
    guardrail_max_retries: int
    human_input: bool
    retry_on_fail: int
    timeout_s: float | None
    condition: str | None
    callback: Any
    callback_config: dict[str, Any] | None
    converter_cls: str | None
    config: dict[str, Any]
    priority: TaskPriority
    deadline: UtcTime | None
    is_overdue: Annotated[bool, Field(description="Past its deadline and not ended.")]
    crew_id: str | None
    inputs: dict[str, Any]
    status: TaskStatus
    result: Annotated[Any, Field(description="What the last run came to.")]
    output: Annotated[Any, Field(description="The same as `result`.")]
    error: dict[str, Any] | None
    last_run_id: Annotated[
        str | None, Field(description="Its last run; GET /executions/{id} has all about it.")
    ]
    worker_id: Annotated[
        str | None, Field(description="The worker node that does it, or did it last.")
    ]
    lease_until: Annotated[
        UtcTime | None, Field(description="Until when that worker has it, while it does.")
    ]
    created_by: str
    created_by_name: str
    started_at: UtcTime | None
    completed_at: UtcTime | None
    configuration_status: Annotated[
        TaskConfigurationStatus | None, Field(description="Left out of lists.")
    ]
    group_id: str
    created_at: UtcTime
    updated_at: UtcTime


def _known_statuses(value: str) -> str:
    names = [name.strip().lower() for name in value.split(",") if name.strip()]
    return ",".join(TaskStatus(name).value for name in names)


def _known_priorities(value: str) -> str:
    names = [read_priority(name) for name in value.split(",") if name.strip()]
    return ",".join(TaskPriority(name).value for name in names)


StatusFilter = Annotated[str, Field(max_length=200), AfterValidator(_known_statuses)]
PriorityFilter = Annotated[str, Field(max_length=200), AfterValidator(_known_priorities)]


class TaskList(ListParams):
    """Filters of the list of tasks."""

    status_filter: Annotated[
        StatusFilter | None,
        Field(description="Status, in any case; several are separated by commas."),
    ] = None
    status: Annotated[StatusFilter | None, Field(description="The same as `status_filter`.")] = None
    priority: Annotated[
        PriorityFilter | None, Field(description="Priority; several are separated by commas.")
    ] = None
    agent_id: Annotated[
        str | None, Field(max_length=255, description="Id, key or name of the agent.")
    ] = None
    crew_id: Annotated[str | None, Field(max_length=36, description="Only of this crew.")] = None
    search: Annotated[
        str | None, Field(max_length=200, description="Name or description contains.")
    ] = None
    overdue: Annotated[
        bool | None, Field(description="Only those that are overdue, or that are not.")
    ] = None
    created_from: Annotated[Moment | None, Field(description="Created at or after.")] = None
    created_to: Annotated[Moment | None, Field(description="Created before.")] = None


class TaskStats(BaseModel):
    """How many tasks there are."""

    total: int
    by_status: Annotated[dict[TaskStatus, int], Field(description="Every status is listed.")]
    by_priority: Annotated[dict[TaskPriority, int], Field(description="Every priority is listed.")]
    overdue: Annotated[int, Field(description="Past their deadline and not ended.")]


class TaskRunRequest(In):
    """How to run a task."""

    inputs: Annotated[
        dict[str, Any],
        Field(
            description="Values of the `{placeholders}`; those of the task are the defaults.",
            examples=[{"topic": "AI developments in 2024"}],
        ),
    ] = {}  # noqa: RUF012 - Pydantic copies it
    model: Annotated[
        str | None, Field(max_length=255, description="Model in place of that of the agent.")
    ] = None


class TaskCancelRequest(In):
    """Why a task is cancelled."""

    reason: Annotated[
        str | None, Field(max_length=1000, description="Why.", examples=["No longer needed"])
    ] = None


class TaskRunStarted(BaseModel):
    """The answer at once: the run exists and will be executed."""

    execution_id: str
    task_id: str
    status: str
    message: str
    run_name: str
