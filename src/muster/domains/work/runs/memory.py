"""What the journal says about a run that is being executed, held while the process has it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.domains.control.approvals import StepApproval
from muster.domains.work.journal import (
    BlobStore,
    NewStep,
    Run,
    StepKind,
    StepRow,
    StepStatus,
    load_value,
)

_DONE = frozenset({StepStatus.OK, StepStatus.BLOCKED, StepStatus.REJECTED})


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """A step that needs not happen again. With an error it is an answer of a model that did not
    fit and that the model was told about.
    """

    key: str
    kind: str
    status: StepStatus
    name: str
    output: Any
    error: dict[str, Any] | None = None


class RunMemory:
    """The state of one run in one segment. Rebuilt from the journal each time it is taken up."""

    def __init__(self, run: Run, fence: int, started_at: datetime) -> None:
        self.run_id, self.project_id = run.id, run.project_id
        self.agent_id, self.fence = run.agent_id, fence
        self.started_at = started_at
        self.active_s = run.active_ms / 1000
        self.model_calls, self.tool_calls = run.model_calls, run.tool_calls
        self.stop_requested = run.stop_requested is not None
        self.interrupted: list[NewStep] = []
        self._finished: dict[str, FinishedStep] = {}
        self._taken: set[str] = set()
        self._broken_off: set[str] = set()
        self._intents: set[str] = set()
        self._failures: dict[str, dict[str, Any]] = {}
        self._approvals: dict[tuple[str, str], StepApproval] = {}
        self.heard: frozenset[str] = frozenset()
        """The ids of all that people had decided when the run was taken up."""

    async def load(
        self,
        rows: Sequence[StepRow],
        intents: Iterable[str],
        approvals: Collection[StepApproval],
        blobs: BlobStore,
    ) -> None:
        """Take in what was recorded so far."""
        for row in rows:
            self._taken.add(row.key)
            status, kind = StepStatus(row.status), row.kind
            if status is StepStatus.CANCELLED:
                self._broken_off.add(row.key)
            failed = status is StepStatus.ERROR and kind in {StepKind.MODEL, StepKind.SELF}
            error = await load_value(row.error, blobs) if failed else None
            if kind in {StepKind.TASK_END, StepKind.TASK_ERROR}:
                self._failures.clear()
            elif error is not None:
                self._failures[row.key.partition("~")[0]] = error
            if _counts_as_done(error, status, kind):
                key = row.key.partition("~")[0]
                output = await load_value(row.output, blobs)
                self._finished[key] = FinishedStep(key, kind, status, row.name, output, error)
        self._intents = set(intents)
        self._approvals = {(a.step_key, a.kind): a for a in approvals}
        self.heard = frozenset(a.id for a in approvals)

    def finished(self, key: str) -> FinishedStep | None:
        """Return the step if it came to its end."""
        return self._finished.get(key)

    def failure(self, key: str) -> dict[str, Any] | None:
        """Return the error of a step that failed since the run came to an end, if it ever did."""
        return self._failures.get(key)

    def times(self, key: str) -> int:
        """Return how many attempts of a step the journal has."""
        return sum(taken.partition("~")[0] == key for taken in self._taken)

    def attempt_key(self, key: str, *, skip_intended: bool = False) -> str:
        """Return the key for the next attempt: keys are unique, and failed attempts stay."""
        taken = self._taken | self._intents if skip_intended else self._taken
        candidate, number = key, 1
        while candidate in taken:
            number += 1
            candidate = f"{key}~{number}"
        return candidate

    def unsettled(self, key: str) -> str | None:
        """Return the key of the step's last attempt that was about to act when an earlier process
        had the run, and of which nothing was heard, or that it was broken off.
        """
        settled = self._taken - self._broken_off
        attempts = [k for k in self._intents - settled if k.partition("~")[0] == key]
        return max(attempts, key=_attempt_number, default=None)

    def approval(self, key: str, kind: str) -> StepApproval | None:
        """Return what a person decided about the step."""
        return self._approvals.get((key, kind))

    def note(self, step: NewStep, *, stop_requested: bool) -> None:
        """Take in a step that was just appended."""
        self._taken.add(step.key)
        self.stop_requested = self.stop_requested or stop_requested
        self.model_calls += step.kind is StepKind.MODEL
        self.tool_calls += step.key.startswith("t")
        error = step.error if step.kind is StepKind.MODEL else None
        if _counts_as_done(error, step.status, step.kind):
            key = step.key.partition("~")[0]
            self._finished[key] = FinishedStep(
                key, step.kind.value, step.status, step.name, step.output, error
            )

    def partial_results(self) -> list[dict[str, Any]]:
        """Return what models and tools have answered so far, in order."""
        return partial_results(self._finished.values())


def partial_results(steps: Iterable[FinishedStep]) -> list[dict[str, Any]]:
    """Return the answers among `steps` as a run that is stopped hands them over."""
    results: list[dict[str, Any]] = []
    for step in steps:
        if step.kind == StepKind.MODEL and step.output and step.output.get("content"):
            results.append({"step": step.key, "name": step.name, "content": step.output["content"]})
        elif step.key.startswith(("t", "n.")):
            results.append({"step": step.key, "name": step.name, "content": step.output})
    return results


def _attempt_number(key: str) -> int:
    return int(key.partition("~")[2] or 1)


def _counts_as_done(error: dict[str, Any] | None, status: StepStatus, kind: str) -> bool:
    """A tool's error is an answer that the model has to deal with. A model's error is none, unless
    the model did answer and was asked to mend its answer.
    """
    if status is not StepStatus.ERROR or kind != StepKind.MODEL:
        return status in _DONE or status is StepStatus.ERROR
    return bool(error) and error.get("last_try") is False
