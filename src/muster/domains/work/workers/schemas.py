"""Request and response bodies of worker nodes."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from muster.domains.work.workers.models import WorkerNode
from muster.kernel.paging import ListParams, Page
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

Status = Literal["online", "offline"]
ApprovalStatus = Literal["pending", "approved", "rejected"]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]

_MAX_OS_INFO = 10_000


def _small(value: Any) -> Any:
    if len(str(value)) > _MAX_OS_INFO:
        raise ValueError(f"os_info may have {_MAX_OS_INFO} characters")
    return value


class WorkerRegister(In):
    """A machine that offers to work."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            description="Unique in the project; registering it again changes the same worker.",
            examples=["rack-3"],
        ),
    ]
    hostname: Annotated[str | None, Field(max_length=255)] = None
    ip_address: Annotated[str | None, Field(max_length=64, examples=["10.0.0.7"])] = None
    max_agents: Annotated[
        int, Field(ge=0, le=100_000, description="Agents that it can take at a time.")
    ] = 1
    cpu_cores: Annotated[int | None, Field(ge=1, le=100_000)] = None
    memory_total_mb: Annotated[int | None, Field(ge=1, le=2**40)] = None
    os_info: Annotated[
        dict[str, Any] | str | None,
        AfterValidator(_small),
        Field(description="Of the operating system, as text or object.", examples=["Linux 6.8"]),
    ] = None


class Heartbeat(In):
    """A sign of life, with how busy the machine is; what is left out is not known."""

    cpu_usage_percent: Annotated[Percent | None, Field(examples=[12.5])] = None
    memory_usage_percent: Percent | None = None
    disk_usage_percent: Percent | None = None


class TaskClaim(In):
    """For how long a worker takes a task."""

    lease_s: Annotated[
        int,
        Field(
            ge=1,
            le=3_600,
            description="Seconds; each heartbeat lets it last as long again.",
            examples=[300],
        ),
    ] = 300


Tokens = Annotated[int, Field(ge=0, le=2**31 - 1)]


class WorkUsage(In):
    """What the models took that a worker has asked for a task, in sum."""

    model: Annotated[
        str | None, Field(max_length=255, examples=["openai/gpt-4o"], description="Their name.")
    ] = None
    input_tokens: Annotated[Tokens, Field(examples=[1_200])] = 0
    output_tokens: Annotated[Tokens, Field(examples=[80])] = 0
    cached_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0
    cost: Annotated[
        float | None,
        Field(
            ge=0,
            le=1e9,
            allow_inf_nan=False,
            description="US dollars; where it is left out, the price list knows many models.",
        ),
    ] = None


class TaskResult(In):
    """What became of a task."""

    status: Annotated[Literal["completed", "failed"], Field(examples=["completed"])]
    result: Annotated[
        Any, Field(description="What it came to.", examples=["Three sources agree."])
    ] = None
    error: Annotated[
        str | dict[str, Any] | None,
        Field(description="Why it failed: a text, or an object with `code` and `message`."),
    ] = None
    usage: Annotated[
        WorkUsage | None, Field(description="What the models took; it counts in costs and budgets.")
    ] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.status == "completed" and self.error is not None:
            raise ValueError("a completed task has no error; leave it out")
        return self


class WorkerApproval(In):
    """The decision about a worker."""

    is_approved: Annotated[bool, Field(examples=[True])]
    group: Annotated[
        str | None, Field(max_length=255, description="A label; null or absent: it stays.")
    ] = None


class WorkerList(ListParams):
    """Filters of the list of workers."""

    status: Annotated[Status | None, Field(description="Only online ones, or offline.")] = None
    approval_status: Annotated[
        ApprovalStatus | None, Field(description="Only those with this decision.")
    ] = None
    group: Annotated[str | None, Field(max_length=255, description="Only of this group.")] = None
    search: Annotated[
        str | None, Field(max_length=255, description="Part of the name, host name or address.")
    ] = None


class AdminWorkerList(WorkerList):
    """Filters of the list of the workers of all projects."""

    project_id: Annotated[str | None, Field(max_length=36, description="Only of this project.")] = (
        None
    )


class Usage(Out):
    """How busy a machine is, or several on average. Null where nobody told."""

    cpu_usage_percent: float | None
    memory_usage_percent: float | None
    disk_usage_percent: float | None


class WorkerOut(RecordOut, Usage):
    """A worker node. It is online while its last heartbeat is no older than a minute."""

    project_id: str
    name: str
    hostname: str | None
    ip_address: str | None
    max_agents: int
    agents: Annotated[int, Field(description="Agents of the project that are bound to it.")]
    cpu_cores: int | None
    memory_total_mb: int | None
    os_info: dict[str, Any] | str | None
    group: str | None
    status: Status
    approval_status: ApprovalStatus
    is_approved: bool
    decided_at: UtcTime | None
    last_heartbeat_at: Annotated[UtcTime | None, Field(description="Null before the first.")]

    @classmethod
    def of(cls, row: WorkerNode, agents: int) -> Self:
        """Return a stored worker as it is shown."""
        return cls(
            id=row.id,
            project_id=row.project_id,
            name=row.name,
            hostname=row.hostname,
            ip_address=row.ip_address,
            max_agents=row.max_agents,
            agents=agents,
            cpu_cores=row.cpu_cores,
            memory_total_mb=row.memory_total_mb,
            os_info=row.os_info,
            group=row.group,
            status="online" if row.is_online() else "offline",
            approval_status=row.approval_status,  # pyright: ignore[reportArgumentType]
            is_approved=bool(row.is_approved),
            decided_at=row.decided_at,
            cpu_usage_percent=row.cpu_usage_percent,
            memory_usage_percent=row.memory_usage_percent,
            disk_usage_percent=row.disk_usage_percent,
            last_heartbeat_at=row.heartbeat_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class RegisteredWorker(WorkerOut):
    """A worker that has registered itself."""

    registration_status: Literal["created", "updated"]


class Capacity(Out):
    """Places for agents on the workers that are approved and online."""

    max_agents: int
    agents: Annotated[int, Field(description="Agents bound to these workers.")]
    free: int


class ExecutorOut(Out):
    """A process of the platform that executes runs: a server, or `muster worker`."""

    kind: Literal["executor"]
    id: str
    hostname: Annotated[str | None, Field(description="Shown to admins of the platform only.")]
    status: Status
    version: str
    max_runs: Annotated[int, Field(description="Runs that it executes at a time.")]
    started_at: UtcTime
    last_heartbeat_at: UtcTime


class FleetOverview(Out):
    """The workers of the project in figures."""

    total: int
    online: int
    offline: int
    approved: int
    pending_approval: int
    rejected: int
    capacity: Capacity
    mean_usage: Annotated[Usage, Field(description="Of the workers that are online.")]
    executors: Annotated[
        list[ExecutorOut],
        Field(description="Processes that execute the platform's own runs, for all projects."),
    ]


class WorkerUtilization(Usage):
    """How busy one worker is now."""

    id: str
    name: str
    group: str | None
    status: Status
    agents: int
    max_agents: int
    last_heartbeat_at: UtcTime | None


class UtilizationPage(Page[WorkerUtilization]):
    """How busy the workers are, by name."""

    mean_usage: Annotated[Usage, Field(description="Of all workers that are online.")]
    online: int
