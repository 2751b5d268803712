"""Facts about runs."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCreated(Event):
    type: ClassVar[str] = "run.created"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    kind: str
    agent_id: str | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    type: ClassVar[str] = "run.started"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWaiting(Event):
    type: ClassVar[str] = "run.waiting"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    approval_ids: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(Event):
    type: ClassVar[str] = "run.resumed"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopping(Event):
    type: ClassVar[str] = "run.stopping"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """Shared fields of the events that end a run. By its head, the journal is part of the audit
    log; what a process records of a step that was broken off may come after it.
    """

    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    status: str
    reason: str | None
    duration_ms: float | None
    head_seq: int
    head_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompleted(RunFinished):
    type: ClassVar[str] = "run.completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(RunFinished):
    type: ClassVar[str] = "run.failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(RunFinished):
    type: ClassVar[str] = "run.cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped(RunFinished):
    type: ClassVar[str] = "run.stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRejected(RunFinished):
    type: ClassVar[str] = "run.rejected"
