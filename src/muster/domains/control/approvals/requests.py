"""What a run asks of people, and what it is told."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A question about one step.

    `kind` is `tool_call` (may it happen?), `uncertain_step` (did it happen?), `approval` (may the
    plan go on?), `input` (what are these values?) or `task_output` (is it good?). `subject` is
    shown to people: the tool and its arguments. `choices` are the answers besides yes and no.
    """

    kind: str
    step_key: str
    title: str
    description: str
    subject: dict[str, Any]
    arguments_hash: str
    arguments_schema: dict[str, Any] | None = None
    choices: list[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepApproval:
    """What a person decided about a step; `arguments` are those they put in the place of the
    asked ones, None where they left them.
    """

    id: str
    kind: str
    step_key: str
    approved: bool
    arguments_hash: str
    arguments: dict[str, Any] | None
    choice: str | None
    decided_by: str
    reason: str | None
