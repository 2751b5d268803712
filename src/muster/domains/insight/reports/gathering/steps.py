"""One pass over the steps of a period: kinds, days, decisions of the gate, costs."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import msgspec
from sqlalchemy import case, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.insight.reports.extent import Extent
from muster.domains.work.costs import provider_and_model
from muster.domains.work.journal import BlobStore, Step, StepKind, load_value

_BATCH = 500
_AMOUNTS = (
    "cost",
    "calls",
    "unpriced_calls",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
)
_TOKENS = _AMOUNTS[3:]
_BILLION = 10**9
_ACTIONS = {"allow", "warn", "ask", "block"}
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, FileNotFoundError)
_MODEL = StepKind.MODEL.value

# What is said in the properties is needed of calls of models only.
_COLUMNS = (
    Step.run_id,
    Step.seq,
    Step.agent_id,
    Step.kind,
    Step.status,
    Step.name,
    Step.cost,
    Step.input_tokens,
    Step.output_tokens,
    Step.cached_tokens,
    Step.reasoning_tokens,
    Step.decision,
    Step.ended_at,
    case((Step.kind == _MODEL, Step.properties)).label("properties"),
)

Told = Callable[[float], Awaitable[None]]
"""Told how much is done, 0 to 1."""


@dataclass(slots=True)
class Amounts:
    """Sums over calls of models. Money is summed in whole billionths of a dollar, without dust."""

    billionths: int = 0
    calls: int = 0
    unpriced_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def add(self, row: Any) -> None:
        """Count one call."""
        self.calls += 1
        self.unpriced_calls += row.cost is None
        self.billionths += round((row.cost or 0.0) * _BILLION)
        for name in _TOKENS:
            setattr(self, name, getattr(self, name) + getattr(row, name))

    @property
    def cost(self) -> float:
        return self.billionths / _BILLION

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _AMOUNTS}


@dataclass(slots=True)
class PolicyFindings:
    """What the gate found by one policy."""

    policy_id: str | None
    name: str
    severity: str
    by_action: Counter[str] = field(default_factory=Counter[str])


@dataclass(slots=True)
class StepTotals:
    """What the pass has counted."""

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    by_agent: Counter[str | None] = field(default_factory=Counter["str | None"])
    by_day: Counter[str] = field(default_factory=Counter[str])
    actions: Counter[str] = field(default_factory=Counter[str])
    checks: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    policies: dict[str, PolicyFindings] = field(default_factory=dict[str, PolicyFindings])
    costs: Amounts = field(default_factory=Amounts)
    costs_by_agent: dict[str | None, Amounts] = field(default_factory=lambda: defaultdict(Amounts))
    costs_by_model: dict[str, Amounts] = field(default_factory=lambda: defaultdict(Amounts))
    costs_by_provider: dict[str, Amounts] = field(default_factory=lambda: defaultdict(Amounts))
    costs_by_day: dict[str, Amounts] = field(default_factory=lambda: defaultdict(Amounts))
    unreadable: int = 0
    unreadable_decisions: int = 0

    @property
    def total(self) -> int:
        return self.kinds.total()

    def count(self, row: Any) -> None:
        """Count one step, but for its decision."""
        day = row.ended_at.strftime("%Y-%m-%d")
        self.kinds[row.kind, row.status] += 1
        self.by_agent[row.agent_id] += 1
        self.by_day[day] += 1
        if row.kind != _MODEL:
            return
        said = _said(row.properties)
        provider, model = provider_and_model(said.get("provider"), said.get("model"), row.name)
        for amounts in (
            self.costs,
            self.costs_by_agent[row.agent_id],
            self.costs_by_model[model],
            self.costs_by_provider[provider],
            self.costs_by_day[day],
        ):
            amounts.add(row)

    def judge(self, decision: Any) -> None:
        """Count one decision of the gate."""
        action = decision["action"]
        if action not in _ACTIONS:
            raise ValueError(action)
        self.actions[action] += 1
        for finding in decision.get("findings") or ():
            self.checks[str(finding["check"]), str(finding["action"])] += 1
            if finding["action"] in {"warn", "ask", "block"}:
                self._count_policies(finding)

    def _count_policies(self, finding: dict[str, Any]) -> None:
        for policy in finding["details"].get("policies") or ():
            policy_id = policy["policy_id"] and str(policy["policy_id"])
            name, severity = str(policy["name"]), str(policy["severity"])
            found = PolicyFindings(policy_id, name, severity)
            known = self.policies.setdefault(policy_id or name, found)
            known.by_action[finding["action"]] += 1


def _said(properties: str | None) -> dict[str, Any]:
    """Return what a model's step says of itself; unreadable ones say nothing."""
    try:
        found: Any = msgspec.json.decode(properties or "{}")
    except msgspec.DecodeError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


async def read_steps(
    session: AsyncSession, extent: Extent, blobs: BlobStore, told: Told
) -> StepTotals:
    """Count the steps that ended in the period."""
    totals = StepTotals()
    within = extent.own(Step.project_id, Step.agent_id) & extent.during(Step.ended_at)
    count = select(func.count()).select_from(Step).where(within)
    expected = await session.scalar(count) or 0
    order = (Step.ended_at, Step.run_id, Step.seq)
    query = select(*_COLUMNS).where(within).order_by(*order).limit(_BATCH)
    after: tuple[datetime, str, int] | None = None
    seen = 0
    while True:
        batch = query if after is None else query.where(tuple_(*order) > tuple_(*after))
        rows: Sequence[Any] = (await session.execute(batch)).all()
        for row in rows:
            await _count(totals, row, blobs)
        seen += len(rows)
        await told(seen / expected if expected else 1.0)
        if len(rows) < _BATCH:
            return totals
        after = (rows[-1].ended_at, rows[-1].run_id, rows[-1].seq)


async def _count(totals: StepTotals, row: Any, blobs: BlobStore) -> None:
    try:
        totals.count(row)
    except _UNREADABLE:  # somebody put into the table what the platform never writes
        totals.unreadable += 1
    if row.decision is None:
        return
    try:
        totals.judge(await load_value(row.decision, blobs))
    except _UNREADABLE:
        totals.unreadable_decisions += 1
