"""The gate's check of budgets, and what a process keeps for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from muster.domains.control.budgets.alerts import tell_exceeded, tell_growth
from muster.domains.control.budgets.entries import Growth, Refusal, Settlement
from muster.domains.control.budgets.journal import Journal
from muster.domains.control.budgets.ledger import Ledger
from muster.domains.control.budgets.money import nanos_of, shown
from muster.domains.control.budgets.reclaiming import reclaim
from muster.domains.control.budgets.rules import Line, cached_rules, lines_of
from muster.domains.control.gate import Action, Finding, IntendedStep, Outcome
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.live import LiveBus

MODEL_KIND = "step.model"


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


def _finding(refusal: Refusal) -> Finding:
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
    return Finding(
        check=BudgetCheck.name,
        action=Action.BLOCK if rule.blocks else Action.WARN,
        code="budget_exceeded",
        message=f'The budget "{rule.name}" {verdict}: {", ".join(parts)}. {ending}',
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
