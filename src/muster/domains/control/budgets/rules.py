"""Budgets as the check reads them, and which of them a step falls under."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.budgets.journal import Spending
from muster.domains.control.budgets.models import Budget
from muster.domains.control.budgets.windows import Window, window_of
from muster.domains.control.gate import BARE_KEY
from muster.kernel import clock
from muster.kernel.cached import Cached
from muster.kernel.db import Database, after_commit
from muster.kernel.live import LiveBus

Scope = Literal["project", "agent", "key", "run"]
Period = Literal["month", "day", "run"]
Enforcement = Literal["block", "warn"]

TOPIC = "budgets"

Rules = Mapping[str, Sequence["Rule"]]
"""Enabled budgets by project."""


class Spender(Protocol):
    """Who spends: what is asked of a step to find its budgets."""

    @property
    def project_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def root_run_id(self) -> str | None: ...
    @property
    def key(self) -> str: ...
    @property
    def agent_id(self) -> str | None: ...
    @property
    def started_by_id(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An enabled budget."""

    id: str
    project_id: str
    name: str
    scope: Scope
    target_id: str
    period: Period
    limit: int
    thresholds: tuple[int, ...]
    blocks: bool

    def covers(self, step: Spender) -> bool:
        """Tell whether what the step costs counts here."""
        if self.period == "run" and step.key == BARE_KEY:
            return False
        match self.scope:
            case "project":
                return True
            case "agent":
                return step.agent_id == self.target_id
            case "key":
                return step.started_by_id == self.target_id
            case "run":
                return self.target_id in {"", root_of(step)}


@dataclass(frozen=True, slots=True)
class Line:
    """One budget in one window."""

    rule: Rule
    window: Window

    @property
    def place(self) -> tuple[str, str]:
        """Key of the row in which its usage is."""
        return self.rule.id, self.window.key


def root_of(step: Spender) -> str:
    """Return the run that was started: agents that it asks count to it."""
    return step.root_run_id or step.run_id


def lines_of(rules: Rules, step: Spender) -> tuple[Line, ...]:
    """Return where a step counts, in the one order in which rows are locked."""
    moment = clock.now()
    return tuple(
        Line(rule, window_of(rule.period, moment, root_of(step)))
        for rule in rules.get(step.project_id, ())
        if rule.covers(step)
    )


def rule_of(budget: Budget) -> Rule:
    """Return a budget as the check reads it."""
    return Rule(
        id=budget.id,
        project_id=budget.project_id,
        name=budget.name,
        scope=cast("Scope", budget.scope),
        target_id=budget.target_id,
        period=cast("Period", budget.period),
        limit=budget.limit_nanos,
        thresholds=tuple(sorted(budget.thresholds)),
        blocks=budget.enforcement == "block",
    )


def spending_of(budget: Budget, window: Window) -> Spending:
    """Return the question to the journal that a budget's usage is the answer to."""
    return Spending(
        project_id=budget.project_id,
        since=window.start,
        agent_id=budget.target_id if budget.scope == "agent" else None,
        key_id=budget.target_id if budget.scope == "key" else None,
        run_id=window.key if budget.period == "run" else None,
    )


async def _load(session: AsyncSession) -> Rules:
    found: defaultdict[str, list[Rule]] = defaultdict(list)
    query = select(Budget).where(Budget.enabled).order_by(Budget.id)
    for budget in await session.scalars(query):
        found[budget.project_id].append(rule_of(budget))
    return dict(found)


def cached_rules(database: Database, live: LiveBus) -> Cached[Rules]:
    """Return the enabled budgets of all projects, in memory."""
    version: Any = select(func.count(Budget.id), func.max(Budget.updated_at))
    return Cached(database, live, topic=TOPIC, version=version, load=_load)


def announce(session: AsyncSession, live: LiveBus) -> None:
    """Let every process read the budgets again when the unit of work is committed."""

    async def publish() -> None:
        live.publish(TOPIC, {"type": "changed"})

    after_commit(session, publish)
