"""What people do with budgets. Knows nothing of HTTP."""

from collections.abc import Sequence

from pydantic import MISSING
from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.budgets.entries import start_usage
from muster.domains.control.budgets.errors import BudgetNotFound, BudgetScopeInvalid, BudgetTaken
from muster.domains.control.budgets.events import BudgetCreated, BudgetDeleted, BudgetUpdated
from muster.domains.control.budgets.journal import Journal, Spending
from muster.domains.control.budgets.models import Budget, BudgetUsage
from muster.domains.control.budgets.money import dollars_of, nanos_of
from muster.domains.control.budgets.rules import announce, spending_of
from muster.domains.control.budgets.schemas import (
    BudgetCreate,
    BudgetList,
    BudgetOut,
    BudgetUpdate,
    CostBudgetOut,
    CostBudgetUpdate,
    UsageOut,
)
from muster.domains.control.budgets.windows import Window, window_of
from muster.kernel import clock
from muster.kernel.db import Repository
from muster.kernel.errors import FieldError, Invalid
from muster.kernel.live import LiveBus
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller

_MONTHLY = "Monthly budget"


class BudgetRepository(Repository[Budget]):
    model, missing, taken = Budget, BudgetNotFound, BudgetTaken

    async def search(self, params: BudgetList) -> Rows[Budget]:
        """Return budgets that match the filters, newest first."""
        query = self.query()
        if params.scope:
            query = query.where(Budget.scope == params.scope)
        if params.target_id:
            query = query.where(Budget.target_id == params.target_id)
        return await self.page(query, params, (Budget.created_at, True))

    async def monthly(self) -> Budget | None:
        """Return the project's own budget for a month."""
        query = self.query().where(
            Budget.scope == "project", Budget.target_id == "", Budget.period == "month"
        )
        found: Budget | None = await self.session.scalar(query)
        return found

    async def usages(self, places: Sequence[tuple[str, str]]) -> dict[str, BudgetUsage]:
        """Return usages by budget."""
        key = tuple_(BudgetUsage.budget_id, BudgetUsage.window)
        rows = await self.session.scalars(select(BudgetUsage).where(key.in_(places)))
        return {row.budget_id: row for row in rows}


class BudgetService:
    """Use cases of budgets, for one caller."""

    def __init__(
        self, session: AsyncSession, caller: Caller, live: LiveBus, journal: Journal
    ) -> None:
        self._session, self._caller = session, caller
        self._live, self._journal = live, journal
        self._budgets = BudgetRepository(session, caller.project_id)

    async def list(self, params: BudgetList) -> Rows[BudgetOut]:
        rows = await self._budgets.search(params)
        shown = await self._shown(rows.items)
        return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)

    async def get(self, budget_id: str) -> BudgetOut:
        (shown,) = await self._shown([await self._budgets.get(budget_id)])
        return shown

    async def create(self, body: BudgetCreate) -> BudgetOut:
        """Make a budget; what was spent in its window before counts already."""
        _require_sense(body)
        budget = await self._budgets.add(
            name=body.name,
            scope=body.scope,
            target_id=body.target_id or "",
            period=body.period,
            limit_nanos=nanos_of(body.limit),
            thresholds=body.thresholds,
            enforcement=body.enforcement,
            enabled=body.enabled,
        )
        await self._count_from_journal(budget)
        fact = BudgetCreated(
            budget_id=budget.id,
            name=budget.name,
            scope=budget.scope,
            target_id=budget.target_id or None,
            period=budget.period,
            limit=dollars_of(budget.limit_nanos),
            enforcement=budget.enforcement,
        )
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)
        return await self.get(budget.id)

    async def update(self, budget_id: str, body: BudgetUpdate) -> BudgetOut:
        """Change the given fields; with another limit or thresholds, alerts begin anew."""
        budget = await self._budgets.get(budget_id)
        changes = {
            name: value
            for name, value in (
                ("name", body.name),
                ("thresholds", body.thresholds),
                ("enforcement", body.enforcement),
                ("enabled", body.enabled),
                ("limit_nanos", MISSING if body.limit is MISSING else nanos_of(body.limit)),
            )
            if value is not MISSING and value != getattr(budget, name)
        }
        if not changes:
            return await self.get(budget_id)
        await self._budgets.update(budget, **changes)
        if "limit_nanos" in changes or "thresholds" in changes:
            again = update(BudgetUsage).where(BudgetUsage.budget_id == budget.id)
            await self._session.execute(again.values(alerted=0, exceeded=False))
        if changes.get("enabled"):
            await self._count_from_journal(budget)
        fact = BudgetUpdated(
            budget_id=budget.id,
            name=budget.name,
            changed=sorted("limit" if name == "limit_nanos" else name for name in changes),
            limit=dollars_of(budget.limit_nanos),
        )
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)
        return await self.get(budget_id)

    async def delete(self, budget_id: str) -> None:
        budget = await self._budgets.get(budget_id)
        await self._budgets.delete(budget)
        events.record(
            self._session, self._caller, BudgetDeleted(budget_id=budget.id, name=budget.name)
        )
        announce(self._session, self._live)

    async def monthly(self) -> CostBudgetOut:
        """Return the project's month: its budget, or only what was spent."""
        budget = await self._budgets.monthly()
        window = window_of("month", clock.now(), "")
        assert window.end is not None  # noqa: S101 - months end
        if budget is not None:
            (shown,) = await self._shown([budget])
            usage = shown.usage or UsageOut.of(budget.limit_nanos, window, None)
            return CostBudgetOut(
                budget_id=budget.id,
                monthly_limit=shown.limit,
                alert_thresholds=shown.thresholds,
                enforcement=shown.enforcement,
                enabled=shown.enabled,
                currency="USD",
                month=window.key,
                resets_at=window.end,
                spent=usage.spent,
                held=usage.held,
                remaining=usage.remaining,
                percent=usage.percent,
                unpriced_calls=usage.unpriced_calls,
            )
        question = Spending(project_id=self._caller.project_id, since=window.start)
        spent = await self._journal.spent(self._session, question)
        return CostBudgetOut(
            budget_id=None,
            monthly_limit=None,
            alert_thresholds=[],
            enforcement=None,
            enabled=False,
            currency="USD",
            month=window.key,
            resets_at=window.end,
            spent=spent.dollars,
            held=0.0,
            remaining=None,
            percent=None,
            unpriced_calls=spent.unpriced_calls,
        )

    async def set_monthly(self, body: CostBudgetUpdate) -> CostBudgetOut:
        """Set, change or remove the project's budget for a month."""
        budget = await self._budgets.monthly()
        if body.monthly_limit is MISSING and budget is None:
            text = "there is no budget for a month yet; say what its limit is"
            raise Invalid(f"monthly_limit: {text}", errors=[FieldError("monthly_limit", text)])
        if body.monthly_limit is None:
            if budget is not None:
                await self.delete(budget.id)
        elif budget is None:
            given = {
                "thresholds": body.alert_thresholds,
                "enforcement": body.enforcement,
            }
            values = {name: value for name, value in given.items() if value is not MISSING}
            await self.create(
                BudgetCreate.model_validate(
                    {"name": _MONTHLY, "limit": body.monthly_limit, **values}
                )
            )
        else:
            changes = BudgetUpdate(
                limit=body.monthly_limit,
                thresholds=body.alert_thresholds,
                enforcement=body.enforcement,
                enabled=True,
            )
            await self.update(budget.id, changes)
        return await self.monthly()

    async def _count_from_journal(self, budget: Budget) -> None:
        """Let the present window begin with what the journal says was spent in it.

        What calls under way hold stays held. Windows of single runs begin at nothing.
        """
        window = _present_window(budget)
        if window is None:
            return
        spent = await self._journal.spent(self._session, spending_of(budget, window))
        connection = await self._session.connection()
        await connection.run_sync(lambda sync: start_usage(sync, budget.id, window.key))
        here = (BudgetUsage.budget_id == budget.id, BudgetUsage.window == window.key)
        counted = {"spent": nanos_of(spent.dollars), "unpriced_calls": spent.unpriced_calls}
        await self._session.execute(update(BudgetUsage).where(*here).values(counted))

    async def _shown(self, budgets: Sequence[Budget]) -> "list[BudgetOut]":
        windows = {budget.id: _present_window(budget) for budget in budgets}
        places = [(key, window.key) for key, window in windows.items() if window is not None]
        usages = await self._budgets.usages(places) if places else {}
        return [
            BudgetOut.of(budget, windows[budget.id], usages.get(budget.id)) for budget in budgets
        ]


def _present_window(budget: Budget) -> Window | None:
    if budget.period == "run":
        one_run = budget.scope == "run" and budget.target_id
        return Window(budget.target_id, None, None) if one_run else None
    return window_of(budget.period, clock.now(), "")


def _require_sense(body: BudgetCreate) -> None:
    if body.scope == "project" and body.target_id is not None:
        raise BudgetScopeInvalid("A budget of the project has no target_id; leave it away.")
    if body.scope in {"agent", "key"} and body.target_id is None:
        raise BudgetScopeInvalid(
            f"A budget with the scope {body.scope} needs a target_id: the id of the {body.scope}."
        )
    if body.scope == "run" and body.period != "run":
        raise BudgetScopeInvalid('A budget with the scope run has the period "run".')
