"""Facts about runs."""

from typing import ClassVar

from muster.platform.events import Event


class RunCreated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.created"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    kind: str
    agent_id: str | None
    origin: str


class RunStarted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.started"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    segment: int


class RunWaiting(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.waiting"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    approval_ids: list[str]


class RunResumed(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.resumed"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    segment: int


class RunStopping(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.stopping"
    subject: ClassVar[str] = "run"
    run_id: str
    name: str
    agent_id: str | None
    reason: str | None


class RunFinished(Event, frozen=True, kw_only=True):
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


class RunCompleted(RunFinished, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.completed"


class RunFailed(RunFinished, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.failed"


class RunCancelled(RunFinished, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.cancelled"


class RunStopped(RunFinished, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.stopped"


class RunRejected(RunFinished, frozen=True, kw_only=True):
    type: ClassVar[str] = "run.rejected"
