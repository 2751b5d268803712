"""The watch: tells of workers whose heart has stopped, and puts back what they had."""

from sqlalchemy import select

from muster.domains.work.tasks import return_lapsed
from muster.domains.work.workers.events import WorkerOffline
from muster.domains.work.workers.models import ONLINE_FOR, WorkerNode
from muster.kernel import clock
from muster.kernel.background import repeat
from muster.kernel.db import Database
from muster.kernel.logging import get_logger
from muster.platform import events
from muster.platform.access import Caller

_INTERVAL_S = 10.0
_BATCH = 200

logger = get_logger(__name__)


class WorkerWatch:
    """Looks for silent workers every few seconds; several processes may do so at once.

    That a worker is there again is told by its heartbeat, in the same unit of work.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        await repeat(self.once, every_s=_INTERVAL_S, name="worker_watch")

    async def once(self) -> int:
        """Tell of every worker that went offline, and put back the tasks whose lease has lapsed.

        Returns of how many workers this process has told.
        """
        await return_lapsed(self._database)
        silent = (
            select(WorkerNode.id)
            .where(WorkerNode.told_online.is_(True))
            .where(WorkerNode.heartbeat_at < clock.now() - ONLINE_FOR)
            .order_by(WorkerNode.heartbeat_at)
            .limit(_BATCH)
        )
        async with self._database.read() as session:
            found = (await session.scalars(silent)).all()
        return sum([await self._tell(worker_id) for worker_id in found])

    async def _tell(self, worker_id: str) -> bool:
        async with self._database.write() as session:
            # Of several processes one finds it so; a heartbeat that came meanwhile keeps it.
            row = await session.scalar(
                select(WorkerNode)
                .where(WorkerNode.id == worker_id, WorkerNode.told_online.is_(True))
                .where(WorkerNode.heartbeat_at < clock.now() - ONLINE_FOR)
                .with_for_update(key_share=True)
            )
            if row is None or row.heartbeat_at is None:
                return False
            row.told_online = False
            fact = WorkerOffline(
                worker_id=row.id, name=row.name, last_heartbeat_at=clock.iso(row.heartbeat_at)
            )
            events.record(session, Caller.system(row.project_id), fact)
        return True
