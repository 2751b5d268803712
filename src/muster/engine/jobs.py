"""What is submitted to the engine and what a handler is given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Stop(StrEnum):
    """Why a handler is being cancelled; it finds this in `JobContext.stop`."""

    CANCELLED = "cancelled"
    """Somebody asked for it with `Engine.cancel`; the job is over."""

    TIMEOUT = "timeout"
    """The job's `timeout_s` ran out; the job is over."""

    STOPPING = "stopping"
    """The process shuts down; the job will be invoked again, here or elsewhere."""

    LOST = "lost"
    """Another process took this job over, believing this one dead; hands off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One segment of work, known by its id for ever: a second submit changes nothing.

    Args:
        id: Chosen by the submitter, at most 200 characters.
        kind: Name under which a handler is registered.
        payload: JSON for the handler; keep it to ids, the handler reads the rest.
        partition: Whose share of the capacity it uses: the project's id.
        priority: 1 to 1,000,000; lower is sooner.
        timeout_s: Bound on the wall time in one process; a job that is invoked again starts anew.
        delay_s: Seconds before it may start, to within about one second.
    """

    id: str
    kind: str
    payload: dict[str, Any]
    partition: str
    priority: int = 100
    timeout_s: float | None = None
    delay_s: float = 0

    def to_json(self) -> dict[str, Any]:
        """Return what is stored; the delay is over when it is read again."""
        return {
            "id": self.id,
            "kind": self.kind,
            "payload": self.payload,
            "partition": self.partition,
            "priority": self.priority,
            "timeout_s": self.timeout_s,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Job":
        """Read what `to_json` wrote."""
        return cls(**stored)


@dataclass(slots=True, kw_only=True)
class JobContext:
    """What a handler knows about its invocation."""

    job: Job
    executor_id: str
    recovered: bool
    """The job was invoked before, by a process that stopped, died or lost its lease."""

    stop: Stop | None = None
    reason: str | None = None


Handler = Callable[[JobContext], Awaitable[None]]
"""Does one job. It may be invoked again for the same job, so it resumes from its own journal and
fences itself by its own token. To return or to raise ends the job for good: an exception is logged
and not retried, since errors of the domain are states of the domain. Only a `CancelledError` that
leaves the handler while `stop` is STOPPING or LOST keeps the job alive."""

Lost = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Told (job id, payload) of a job that will not be invoked again. May be told twice."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is registered for one kind of job."""

    handler: Handler
    lost: Lost
