"""What can go wrong with budgets."""

from muster.kernel.errors import Conflict, Invalid, NotFound


class BudgetNotFound(NotFound):
    code, title = "budget_not_found", "No such budget in this project"


class BudgetTaken(Conflict):
    code, title = "budget_taken", "There is a budget for this scope, target and period already"


class BudgetScopeInvalid(Invalid):
    code, title = "budget_scope_invalid", "The scope, target and period do not fit together"
