"""What is known of one broken policy."""

from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["warn", "block", "require_approval", "observed"]
"""What was done about it; `observed` where it had happened already."""

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
"""From the least to the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One policy that one step, or one registration, did not keep to.

    `policy_id` is null where an agent judged by a policy that the project does not have. `details`
    are shown to people: no secrets.
    """

    project_id: str
    policy_id: str | None
    policy_name: str
    rule_type: str | None
    severity: Severity
    agent_id: str | None = None
    environment: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    step_name: str | None = None
    step_kind: str | None = None
    step_seq: int | None = None
    action: Action
    details: dict[str, Any] = field(default_factory=dict[str, Any])
