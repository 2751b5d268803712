"""What a judgement is given besides the step, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

Scope = Literal["agent_registration", "step_execution", "task_execution"]
Action = Literal["allow", "warn", "require_approval", "block"]
Enforcement = Literal["warn", "require_approval", "block"]
Severity = Literal["low", "medium", "high", "critical"]
Schema = Literal["2", "3"]
Details = Mapping[str, Any]

SCOPES: tuple[Scope, ...] = ("agent_registration", "step_execution", "task_execution")
SEVERITY_WEIGHTS: dict[Severity, float] = {
    "low": 0.25,
    "medium": 0.5,
    "high": 0.75,
    "critical": 1.0,
}
ENFORCEMENTS: tuple[Enforcement, ...] = ("warn", "require_approval", "block")
ACTIONS: tuple[Action, ...] = ("allow", *ENFORCEMENTS)
"""From the mildest to the hardest: the hardest of the violated policies is what happens."""

ENVIRONMENTS = ("development", "qa", "staging", "production")
RISK_CLASSES = ("unclassified", "minimal", "limited", "high", "unacceptable")
"""In rising order: a class of the third generation means itself and those behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Facts about the agent and the moment, gathered by the caller; never taken from the step.

    `now` is aware. `cross_execution_counts` holds the counts that `PolicySet.rate_queries` asks
    for, by key; `None` means that nobody counted, and then rate limits are violated.
    """

    agent_id: str
    now: datetime
    task_id: str | None = None
    environment: str | None = None
    risk_classification: str | None = None
    agent_name: str | None = None
    purpose: str | None = None
    owner: str | None = None
    declared_tools: Sequence[str] | None = None
    project_root: str | None = None
    cross_execution_counts: Mapping[str, int] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise ValueError("now must be aware of its time zone")


class PolicyResult(NamedTuple):
    """What one policy says; `violation_details` always holds a `message` when it is violated.

    A tuple, since a decision may make a hundred of them.
    """

    policy_id: str
    name: str
    rule_type: str
    severity: Severity
    violated: bool
    violation_details: Details | None
    enforcement: Enforcement


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all the policies that apply say together."""

    action: Action
    risk_score: float
    results: list[PolicyResult]

    @property
    def violations(self) -> list[PolicyResult]:
        return [result for result in self.results if result.violated]

    def merge(self, other: "Verdict") -> "Verdict":
        """Join two verdicts about the same moment."""
        return Verdict(
            action=ACTIONS[max(map(ACTIONS.index, (self.action, other.action)))],
            risk_score=max(self.risk_score, other.risk_score),
            results=[*self.results, *other.results],
        )


@dataclass(frozen=True, slots=True)
class RateQuery:
    """A count that a rate limit needs: steps of all the agent's tasks within a window.

    Count steps of `kind` with these properties that were recorded within the last
    `window_minutes`, and put the number under `key` into `Context.cross_execution_counts`.
    """

    key: str
    kind: str
    window_minutes: int
    property_filter: Mapping[str, Any]
