"""What admins of the platform do with the workers of all projects. Knows nothing of HTTP."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.tasks import TaskLeases
from muster.domains.work.workers.events import (
    WorkerApproved,
    WorkerDeleted,
    WorkerEvent,
    WorkerRejected,
)
from muster.domains.work.workers.models import WorkerNode
from muster.domains.work.workers.repository import agents_of, held_anywhere, of_all_projects
from muster.domains.work.workers.schemas import AdminWorkerList, WorkerApproval, WorkerOut
from muster.domains.work.workers.service import shown
from muster.kernel import clock
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller


class WorkerApprovals:
    """Use cases of an admin."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller

    async def list(self, params: AdminWorkerList) -> Rows[WorkerOut]:
        return await shown(self._session, await of_all_projects(self._session, params))

    async def decide(self, worker_id: str, body: WorkerApproval) -> WorkerOut:
        """Approve or reject a worker, and put it into a group. The same again changes nothing."""
        row = await held_anywhere(self._session, worker_id)
        group = row.group if body.group is None else body.group or None
        if (row.is_approved, row.group) != (body.is_approved, group):
            row.is_approved, row.group = body.is_approved, group
            row.decided_at = clock.now()
            row.decided_by_id = self._caller.key_id or self._caller.id
            await self._session.flush()
            kind = WorkerApproved if body.is_approved else WorkerRejected
            if not body.is_approved:
                await self._give_back(row, "The worker was rejected")
            self._tell(row, kind(worker_id=row.id, name=row.name, group=group))
        agents = await agents_of(self._session, [row])
        return WorkerOut.of(row, agents.get(row.id, 0))

    async def delete(self, worker_id: str) -> None:
        """Forget a worker of any project."""
        row = await held_anywhere(self._session, worker_id)
        await self._give_back(row, "The worker was deleted")
        await self._session.delete(row)
        await self._session.flush()
        self._tell(row, WorkerDeleted(worker_id=row.id, name=row.name))

    async def _give_back(self, row: WorkerNode, reason: str) -> None:
        await TaskLeases(self._session, self._there(row)).give_back(row.id, reason)

    def _tell(self, row: WorkerNode, fact: WorkerEvent) -> None:
        events.record(self._session, self._there(row), fact)

    def _there(self, row: WorkerNode) -> Caller:
        """Return the caller in the worker's project, in whichever the admin works at the moment."""
        return replace(self._caller, project_id=row.project_id)
