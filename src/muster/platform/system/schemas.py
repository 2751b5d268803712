"""What is told about the health of the installation."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from muster.kernel.schemas import UtcTime


class SystemHealth(BaseModel):
    """How busy the machine and this process are."""

    cpu_percent: float
    cpu_count: int
    memory_percent: float
    memory_available_mb: float
    disk_percent: Annotated[float, Field(description="Of the disk that holds the data folder.")]
    disk_free_mb: float
    process_memory_mb: float
    process_cpu_percent: float
    process_threads: int


class DatabaseHealth(BaseModel):
    """Whether the database answers."""

    status: Literal["up", "down"]
    dialect: str
    latency_ms: Annotated[float | None, Field(description="Null when no answer came in time.")]


class EngineHealth(BaseModel):
    """Who executes runs."""

    status: Annotated[
        Literal["up", "idle", "down"],
        Field(description="`idle`: no process executes runs; `down`: that cannot be told."),
    ]
    executors: Annotated[int, Field(description="Processes that execute runs.")]
    capacity: Annotated[int, Field(description="Runs that they execute at a time, together.")]
    active_jobs: Annotated[int, Field(description="Jobs that this process executes now.")]


class HealthReport(BaseModel):
    """The state of the installation, as one process sees it."""

    status: Annotated[
        Literal["healthy", "degraded", "unhealthy"],
        Field(description="`unhealthy` comes with the status code 503."),
    ]
    reason: Annotated[str | None, Field(description="Why it is not healthy.")]
    service: str
    version: str
    uptime_seconds: float
    timestamp: UtcTime
    system: SystemHealth
    database: DatabaseHealth
    engine: Annotated[
        EngineHealth | None,
        Field(description="Null in a process that has nothing to do with runs."),
    ]
