"""HTTP surface of budgets."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.control.budgets.errors import BudgetNotFound, BudgetScopeInvalid, BudgetTaken
from muster.domains.control.budgets.schemas import (
    BudgetCreate,
    BudgetList,
    BudgetOut,
    BudgetUpdate,
    CostBudgetOut,
    CostBudgetUpdate,
)
from muster.domains.control.budgets.service import BudgetService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/budgets", tag="Budgets")
cost_router = Router("/cost/budget", tag="Costs")

CanRead = Annotated[Caller, requires(Scope.BUDGETS_READ)]
CanWrite = Annotated[Caller, requires(Scope.BUDGETS_WRITE)]


async def _reader(connection: HTTPConnection, session: Reading, caller: CanRead) -> BudgetService:
    state = connection.app.state
    return BudgetService(session, caller, state.live, state.cost_journal)


async def _writer(connection: HTTPConnection, caller: CanWrite, session: Writing) -> BudgetService:
    state = connection.app.state
    return BudgetService(session, caller, state.live, state.cost_journal)


Reader = Annotated[BudgetService, Depends(_reader)]
Writer = Annotated[BudgetService, Depends(_writer)]


@router.get("", response_model=Page[BudgetOut])
async def list_budgets(budgets: Reader, params: Annotated[BudgetList, Query()]) -> Rows[BudgetOut]:
    """List budgets, newest first, each with what it was used for in its present window."""
    return await budgets.list(params)


@router.post("", status_code=201, responses=problems(BudgetTaken, BudgetScopeInvalid))
async def create_budget(budgets: Writer, body: BudgetCreate) -> BudgetOut:
    """Limit what may be spent: by the project, an agent, an API key, or a run.

    What was spent in the present month or day before counts already. Calls of models are refused
    that would go beyond; what calls under way may cost is held until they end.
    """
    return await budgets.create(body)


@router.get("/{budget_id}", responses=problems(BudgetNotFound))
async def get_budget(budgets: Reader, budget_id: str) -> BudgetOut:
    """Get a budget with what it was used for in its present window."""
    return await budgets.get(budget_id)


@router.patch("/{budget_id}", responses=problems(BudgetNotFound))
async def update_budget(budgets: Writer, budget_id: str, body: BudgetUpdate) -> BudgetOut:
    """Change a budget; it holds for the next call. A run that it ended can be resumed."""
    return await budgets.update(budget_id, body)


@router.delete("/{budget_id}", status_code=204, responses=problems(BudgetNotFound))
async def delete_budget(budgets: Writer, budget_id: str) -> None:
    """Delete a budget and what was counted for it; the journal keeps what was spent."""
    await budgets.delete(budget_id)


@cost_router.get("")
async def get_cost_budget(budgets: Reader) -> CostBudgetOut:
    """Get the project's budget for the present month and what it was used for.

    Without a budget the amounts are those of the journal.
    """
    return await budgets.monthly()


@cost_router.put("")
async def set_cost_budget(budgets: Writer, body: CostBudgetUpdate) -> CostBudgetOut:
    """Set the project's budget for a month. A limit of null removes it."""
    return await budgets.set_monthly(body)
