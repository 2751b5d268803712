"""Costs of agents that run elsewhere: counted when they are logged, shown before they are made."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.budgets import BudgetCheck, Charge, UsedUp
from muster.domains.work.journal import Run, StepKind
from muster.domains.work.logs import LogAgent, LoggedStep
from muster.kernel.db import Database, after_commit
from muster.kernel.logging import get_logger
from muster.platform.access import Caller

logger = get_logger(__name__)


class ExternalCosts:
    """Brings logged calls of models into the budgets. Refuses nothing: they have been made."""

    def __init__(self, database: Database, budgets: BudgetCheck) -> None:
        self._database, self._budgets = database, budgets

    async def charge(
        self,
        agent: LogAgent,
        run_id: str,
        steps: Sequence[LoggedStep],
        session: AsyncSession | None,
    ) -> None:
        """Count what logged steps have cost; with a session, when it is committed.

        Returns when it is written. A fault is told to the log alone.
        """
        costs = [step.new.cost for step in steps if step.new.kind is StepKind.MODEL]
        if not costs:
            return

        async def count() -> None:
            try:
                await self._charge(agent, run_id, costs)
            except Exception:
                logger.exception("logged_costs_not_counted", run_id=run_id)

        if session is None:
            await count()
        else:
            after_commit(session, count)

    async def _charge(self, agent: LogAgent, run_id: str, costs: Sequence[float | None]) -> None:
        started_by = None
        if await self._budgets.asks_who_started(agent.project_id):
            started_by = await self._started_by(run_id)
        charge = Charge(
            project_id=agent.project_id,
            run_id=run_id,
            agent_id=agent.id,
            started_by_id=started_by,
        )
        await self._budgets.charge(charge, costs)

    async def used_up(self, caller: Caller, agent_id: str, run_id: str | None) -> Sequence[UsedUp]:
        """Return the budgets in which nothing is left for an agent's next call of a model.

        A run that is not there yet would be the caller's.
        """
        started_by: str | None = caller.key_id or caller.id
        if run_id is not None and await self._budgets.asks_who_started(caller.project_id):
            started_by = await self._started_by(run_id)
        charge = Charge(
            project_id=caller.project_id,
            run_id=run_id or "",
            agent_id=agent_id,
            started_by_id=started_by,
        )
        return await self._budgets.used_up(charge)

    async def _started_by(self, run_id: str) -> str | None:
        async with self._database.read() as session:
            return await session.scalar(select(Run.started_by_id).where(Run.id == run_id))
