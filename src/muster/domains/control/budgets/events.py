"""Facts about budgets. Amounts are US dollars."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCreated(Event):
    type: ClassVar[str] = "budget.created"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str
    scope: str
    target_id: str | None
    period: str
    limit: float
    enforcement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUpdated(Event):
    type: ClassVar[str] = "budget.updated"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str
    changed: list[str]
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDeleted(Event):
    type: ClassVar[str] = "budget.deleted"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetThresholdReached(Event):
    type: ClassVar[str] = "budget.threshold_reached"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str
    window: str
    threshold: int
    limit: float
    spent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExceeded(Event):
    type: ClassVar[str] = "budget.exceeded"
    subject: ClassVar[str] = "budget"
    budget_id: str
    name: str
    window: str
    limit: float
    spent: float
