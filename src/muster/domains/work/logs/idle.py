"""The sweep: ends conversations in which nothing was logged for too long."""

from sqlalchemy import select, update

from muster.domains.work.journal import (
    Fenced,
    JournalWriter,
    NewStep,
    RunAction,
    StepKind,
    StepStatus,
)
from muster.domains.work.logs.models import ExternalTask
from muster.domains.work.runs import EXTERNAL_FENCE, end_external
from muster.kernel import clock
from muster.kernel.background import repeat
from muster.kernel.db import Database
from muster.kernel.logging import get_logger
from muster.platform.access import Caller

_INTERVAL_S = 5.0
_BATCH = 200
_REASON = "Nothing was logged for five minutes"
_NODE_TYPE = "INTERNAL_TASK_UNFINISHED"

logger = get_logger(__name__)


class IdleSweep:
    """Looks for left conversations every few seconds; several processes may do so at once."""

    def __init__(self, database: Database, writer: JournalWriter) -> None:
        self._database, self._writer = database, writer

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        await repeat(self.once, every_s=_INTERVAL_S, name="idle_sweep")

    async def once(self) -> int:
        """End every conversation whose time is over; returns how many this process has ended."""
        statement = (
            select(ExternalTask.run_id, ExternalTask.project_id, ExternalTask.agent_id)
            .where(ExternalTask.idle_at <= clock.now())
            .order_by(ExternalTask.idle_at)
            .limit(_BATCH)
        )
        async with self._database.read() as session:
            left = (await session.execute(statement)).all()
        return sum([await self._end(row.run_id, row.project_id, row.agent_id) for row in left])

    async def _end(self, run_id: str, project_id: str, agent_id: str) -> bool:
        moment = clock.now()
        step = NewStep(
            key="",
            kind=StepKind.TASK_IDLE,
            name=_REASON,
            started_at=moment,
            ended_at=moment,
            status=StepStatus.ERROR,
            agent_id=agent_id,
            properties={"sent": {"node_type": _NODE_TYPE}},
            error={"message": _REASON},
        )
        rows = await self._writer.rows([step])
        async with self._database.write() as session:
            # Of several processes one takes it, and a step that was just logged keeps it.
            taken = await session.scalar(
                update(ExternalTask)
                .where(ExternalTask.run_id == run_id, ExternalTask.idle_at <= clock.now())
                .values(idle_at=None)
                .returning(ExternalTask.run_id)
            )
            if taken is None:
                return False
            try:
                await self._writer.append_within(session, run_id, EXTERNAL_FENCE, rows)
            except Fenced:
                return False  # somebody has closed its record
            caller = Caller.system(project_id)
            await end_external(session, caller, run_id, RunAction.STOPPED, reason=_REASON)
        return True
