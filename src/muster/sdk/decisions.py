"""What the platform's policies say about a step before it happens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

INACTIVE = "agent_inactive"
"""What the platform says of an agent that somebody, or an action of its own, has deactivated."""

Action = Literal["allow", "warn", "require_approval", "block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer of the gate.

    `policies` are those that are violated and `budgets` those that are used up, as the platform
    tells them. `is_judged` is False where the platform could not be asked and the step was let
    through, `is_active` where the agent was deactivated and nothing of it is let through.
    """

    action: Action
    risk_score: float = 0.0
    policies: tuple[Mapping[str, Any], ...] = ()
    budgets: tuple[Mapping[str, Any], ...] = ()
    is_judged: bool = True
    is_active: bool = True

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> "Decision":
        """Read the answer of `POST /gate/evaluate`."""
        policies = cast("list[Mapping[str, Any]]", answer.get("policies") or [])
        return cls(
            action=answer["action"],
            risk_score=float(answer.get("risk_score") or 0.0),
            policies=tuple(policy for policy in policies if policy.get("violated")),
            budgets=tuple(cast("list[Mapping[str, Any]]", answer.get("budgets") or [])),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the policies that are violated."""
        return tuple(str(policy.get("name")) for policy in self.policies)

    @property
    def reason(self) -> str:
        """The violated policies and the budgets that are used up, as text."""
        if not self.is_active:
            return "the platform, where the agent was deactivated"
        budgets = (f"the budget {budget.get('name')}" for budget in self.budgets)
        return ", ".join((*self.names, *budgets)) or "the platform"

    def told(self) -> dict[str, Any]:
        """Return what a record says of the decision."""
        if not self.is_judged:
            return {"action": self.action, "judged": False}
        told: dict[str, Any] = {
            "action": self.action,
            "risk_score": self.risk_score,
            "policies": [
                {name: policy.get(name) for name in ("policy_id", "name", "severity")}
                for policy in self.policies
            ],
        }
        if self.budgets:
            told["budgets"] = [
                {name: budget.get(name) for name in ("budget_id", "name")}
                for budget in self.budgets
            ]
        return told
