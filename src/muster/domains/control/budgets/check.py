"""The gate's check of budgets, and what a process keeps for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from muster.domains.control.budgets.alerts import tell_exceeded, tell_growth
from muster.domains.control.budgets.entries import Growth, Refusal, Settlement, used_up
from muster.domains.control.budgets.journal import Journal
from muster.domains.control.budgets.ledger import Ledger
from muster.domains.control.budgets.money import dollars_of, nanos_of, shown
from muster.domains.control.budgets.reclaiming import reclaim
from muster.domains.control.budgets.rules import Line, cached_rules, lines_of
from muster.domains.control.gate import MODEL_KIND, Action, Finding, IntendedStep, Outcome
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.live import LiveBus


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Whose calls of models they are that were made elsewhere; `run_id` is empty before the run."""

    project_id: str
    run_id: str
    agent_id: str | None
    started_by_id: str | None
    root_run_id: str | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedUp:
    """A budget in which nothing is left; amounts in US dollars."""

    budget_id: str
    name: str
    blocks: bool
    message: str
    limit: float
    spent: float
    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Held:
    lines: Sequence[Line]
    amount: int


class BudgetCheck:
    """Reserves what a model call may cost, and settles what it did cost.

    Only calls of models cost something. A call whose price cannot be estimated holds nothing, and
    is refused only by a budget that is used up.
    """

    name = "budget"

    def __init__(self, database: Database, live: LiveBus, journal: Journal) -> None:
        self._database, self._journal = database, journal
        self._rules = cached_rules(database, live)
        self._ledger = Ledger(database, self._grown)
        self._held: dict[tuple[str, str], _Held] = {}

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        if step.kind != MODEL_KIND or not (rules := await self._rules.get()):
            return ()
        lines = lines_of(rules, step)
        if not lines:
            return ()
        amount = nanos_of(step.estimated_cost or 0.0)
        over = await self._claim(step, lines, amount)
        if _refuses(over) and await self._reclaim(lines):
            over = await self._claim(step, lines, amount)
        if _refuses(over):
            async with self._database.write() as session:
                await tell_exceeded(session, over[0].line, over[0].spent)
        else:
            self._held[step.run_id, step.key] = _Held(lines, amount)
        return [_finding(refusal) for refusal in over]

    async def _claim(
        self, step: IntendedStep, lines: Sequence[Line], amount: int
    ) -> Sequence[Refusal]:
        try:
            return await self._ledger.claim(step.run_id, step.key, lines, amount)
        except asyncio.CancelledError:
            # The claim is written all the same; what it took is given back behind it.
            self._settle(step, _Held(lines, amount), 0, unpriced=False)
            raise

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        """Count what the call cost. Nobody waits until that is written."""
        held = self._held.pop((step.run_id, step.key), None)
        if held is None:
            return
        unpriced = outcome.succeeded and outcome.cost is None
        if held.amount or outcome.cost or unpriced:
            self._settle(step, held, nanos_of(outcome.cost or 0.0), unpriced=unpriced)

    async def release(self, step: IntendedStep) -> None:
        """Give back what is held."""
        held = self._held.pop((step.run_id, step.key), None)
        if held is not None and held.amount:
            self._settle(step, held, 0, unpriced=False)

    async def charge(self, charge: Charge, costs: Sequence[float | None]) -> None:
        """Count calls that were made without being asked about; returns when that is written.

        `costs` are US dollars, None for a price that nobody knows. They count in the present
        windows, whenever the calls were made.
        """
        rules = await self._rules.get()
        if not (lines := lines_of(rules, charge)):
            return
        settlement = Settlement(
            run_id=charge.run_id,
            key=charge.key,
            lines=lines,
            cost=sum(nanos_of(cost or 0.0) for cost in costs),
            unpriced=sum(cost is None for cost in costs),
            held=False,
        )
        if settlement.cost or settlement.unpriced:
            await self._ledger.charge(settlement)

    async def used_up(self, charge: Charge) -> Sequence[UsedUp]:
        """Return the budgets in which nothing is left for these calls; nothing is held."""
        lines = lines_of(await self._rules.get(), charge)
        if not lines:
            return ()
        async with self._database.read() as session:
            connection = await session.connection()
            over = await connection.run_sync(used_up, lines)
        return [_told(refusal) for refusal in over]

    async def asks_who_started(self, project_id: str) -> bool:
        """Tell whether any budget of a project counts by who has started a run."""
        rules = (await self._rules.get()).get(project_id, ())
        return any(rule.scope == "key" for rule in rules)

    def _settle(self, step: IntendedStep, held: _Held, cost: int, *, unpriced: bool) -> None:
        settlement = Settlement(
            run_id=step.run_id,
            key=step.key,
            lines=held.lines,
            cost=cost,
            unpriced=unpriced,
            held=held.amount > 0,
        )
        self._ledger.settle(settlement)

    async def written(self) -> None:
        """Return when all that was settled so far is written; awaited before the process ends."""
        await self._ledger.written()

    async def sweep(self) -> None:
        """Give back what crashes left held, in all budgets."""
        await reclaim(self._database, self._journal)

    async def _reclaim(self, lines: Sequence[Line]) -> bool:
        return await reclaim(self._database, self._journal, [line.place for line in lines])

    async def _grown(self, grown: Sequence[Growth]) -> None:
        await tell_growth(self._database, grown)


def _refuses(over: Sequence[Refusal]) -> bool:
    return any(refusal.line.rule.blocks for refusal in over)


def _told(refusal: Refusal) -> UsedUp:
    rule = refusal.line.rule
    return UsedUp(
        budget_id=rule.id,
        name=rule.name,
        blocks=rule.blocks,
        message=_message(refusal),
        limit=dollars_of(refusal.limit),
        spent=dollars_of(refusal.spent),
        resets_at=refusal.line.window.end,
    )


def _message(refusal: Refusal) -> str:
    rule, window = refusal.line.rule, refusal.line.window
    parts = [f"{shown(refusal.spent)} of {shown(refusal.limit)} US dollars are spent"]
    if refusal.held:
        parts.append(f"{shown(refusal.held)} are held for calls under way")
    if refusal.amount:
        parts.append(f"this call may cost {shown(refusal.amount)}")
    ending = (
        f"It begins anew at {clock.iso(window.end)}."
        if window.end
        else "It counts for each run by itself."
    )
    verdict = "does not allow the call" if rule.blocks else "is used up and only warns"
    if rule.blocks:
        ending += " Raise its limit to go on."
    return f'The budget "{rule.name}" {verdict}: {", ".join(parts)}. {ending}'


def _finding(refusal: Refusal) -> Finding:
    rule, window = refusal.line.rule, refusal.line.window
    return Finding(
        check=BudgetCheck.name,
        action=Action.BLOCK if rule.blocks else Action.WARN,
        code="budget_exceeded",
        message=_message(refusal),
        details={
            "budget_id": rule.id,
            "limit_nanos": refusal.limit,
            "spent_nanos": refusal.spent,
            "held_nanos": refusal.held,
            "estimated_nanos": refusal.amount,
            "resets_at": clock.iso(window.end) if window.end else None,
        },
        ends_run=rule.blocks,
    )
