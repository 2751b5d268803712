"""What the gate is asked and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from muster.kernel.chain import canonical


class Action(StrEnum):
    """What is to become of a step, mildest first."""

    ALLOW = "allow"
    WARN = "warn"
    ASK = "ask"
    BLOCK = "block"

    @property
    def weight(self) -> int:
        return _WEIGHTS[self]


_WEIGHTS = {action: weight for weight, action in enumerate(Action)}


BARE_KEY = "bare"
"""Key of the only step of a call that belongs to no run."""


def arguments_hash(name: str, arguments: Mapping[str, Any]) -> str:
    """Return what an approval is bound to: SHA-256 over the tool's name and its arguments."""
    return sha256(canonical({"name": name, "arguments": dict(arguments)})).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFacts:
    """What the gate knows of the tool that a step would call."""

    name: str
    kind: str
    enabled: bool
    granted: bool
    requires_approval: bool
    approval_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits that an agent sets itself; None means no limit."""

    max_iter: int
    max_rpm: int | None = None
    max_execution_time_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the run has come. `active_s` leaves out the time it waited for people."""

    iteration: int
    model_calls: int
    tool_calls: int
    active_s: float
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalEvidence:
    """What a person decided about this very step; `arguments_hash` is of what was approved."""

    approval_id: str
    approved: bool
    arguments_hash: str
    decided_by: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntendedStep:
    """A step that has not happened yet.

    `root_run_id` is the run that a person or a key started, `started_by_id` who: agents that are
    asked by agents work for them. `estimated_cost` is in US dollars, None where nobody knows.
    `breaker` names the other side that the step depends on, as circuit breakers do, and
    `resource_ids` are all by which access rules can name its model or tool.
    """

    project_id: str
    run_id: str
    agent_id: str | None
    agent: Mapping[str, Any]
    key: str
    kind: str
    verb: str | None
    name: str
    arguments: Mapping[str, Any]
    limits: Limits
    progress: Progress
    tool: ToolFacts | None = None
    approval: ApprovalEvidence | None = None
    root_run_id: str | None = None
    started_by_id: str | None = None
    estimated_cost: float | None = None
    breaker: str | None = None
    resource_ids: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How an allowed step ended; filled in while it happens.

    `cost` is in US dollars, None where unknown. `answered` tells whether the other side was there
    and able: False for time-outs, broken connections and overload, None where nothing is said.
    """

    succeeded: bool = False
    cost: float | None = None
    answered: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found. `ends_run` asks that a block ends the run, not only the step."""

    check: str
    action: Action
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ends_run: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer: the strictest finding rules. `wait_s` is to be waited before an allowed step."""

    action: Action
    findings: Sequence[Finding] = ()
    wait_s: float = 0.0

    @property
    def ends_run(self) -> bool:
        return self.action is Action.BLOCK and any(
            f.ends_run for f in self.findings if f.action is Action.BLOCK
        )

    @property
    def ruling(self) -> Finding | None:
        """The first of the findings that decided."""
        return next((f for f in self.findings if f.action is self.action), None)

    def as_json(self) -> dict[str, Any]:
        """Return the decision as the journal keeps it."""
        return {
            "action": self.action.value,
            "wait_s": self.wait_s,
            "findings": [
                {
                    "check": f.check,
                    "action": f.action.value,
                    "code": f.code,
                    "message": f.message,
                    "details": dict(f.details),
                }
                for f in self.findings
            ],
        }
