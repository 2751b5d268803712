"""Facts about budgets. Amounts are US dollars."""

from typing import ClassVar

from muster.platform.events import Event


class BudgetCreated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "budget.created"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str
    scope: str
    target_id: str | None
    period: str
    limit: float
    enforcement: str


class BudgetUpdated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "budget.updated"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str
    changed: list[str]
    limit: float


class BudgetDeleted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "budget.deleted"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str


class BudgetThresholdReached(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "budget.threshold_reached"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str
    window: str
    threshold: int
    limit: float
    spent: float


class BudgetExceeded(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "budget.exceeded"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str
    window: str
    limit: float
    spent: float
