"""Budgets: what may be spent, held before each call and settled after it."""

from muster.domains.control.budgets.check import BudgetCheck, Charge, UsedUp
from muster.domains.control.budgets.journal import Ended, Journal, Spending, Spent
from muster.domains.control.budgets.models import Budget, BudgetHold, BudgetUsage

__all__ = [
    "Budget",
    "BudgetCheck",
    "BudgetHold",
    "BudgetUsage",
    "Charge",
    "Ended",
    "Journal",
    "Spending",
    "Spent",
    "UsedUp",
]
