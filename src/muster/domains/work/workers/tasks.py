"""Tasks that worker nodes pull, do and report on. Knows nothing of HTTP."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.tasks import TaskLeases, TaskOut
from muster.domains.work.workers.errors import WorkerNotReady
from muster.domains.work.workers.events import WorkerTaskClaimed
from muster.domains.work.workers.models import ONLINE_FOR, WorkerNode
from muster.domains.work.workers.repository import WorkerRepository
from muster.domains.work.workers.schemas import TaskResult
from muster.kernel import clock
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller


class WorkerTasks:
    """Use cases of a worker that takes tasks, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._workers = WorkerRepository(session, caller.project_id)
        self._leases = TaskLeases(session, caller)

    async def pending(self, worker_id: str, params: ListParams) -> Rows[TaskOut]:
        """Return what the worker may claim, the urgent ones first."""
        worker = await self._workers.get(worker_id)
        require_ready(worker)
        return await self._leases.open_to(worker.bound_as, params)

    async def claim(self, worker_id: str, task_id: str, lease_s: int) -> TaskOut:
        """Take a task, or keep it for longer."""
        worker = await self._worker(worker_id, task_id)
        require_ready(worker)
        task, new = await self._leases.claim(task_id, worker.id, worker.bound_as, lease_s)
        if new and task.lease_until is not None:
            fact = WorkerTaskClaimed(
                worker_id=worker.id,
                name=worker.name,
                task_id=task.id,
                lease_until=clock.iso(task.lease_until),
            )
            events.record(self._session, self._caller, fact)
        return task

    async def report(self, worker_id: str, task_id: str, body: TaskResult) -> TaskOut:
        """End a task that the worker has."""
        worker = await self._worker(worker_id, task_id)
        _require_approved(worker)
        return await self._leases.end(task_id, worker.id, body.result, _error_of(body))

    async def _worker(self, worker_id: str, task_id: str) -> WorkerNode:
        """Return the worker, held before its tasks are, as by whoever rejects or forgets it."""
        worker = await self._workers.held(worker_id)
        await self._leases.require(task_id)
        return worker


def require_ready(worker: WorkerNode) -> None:
    """Raise `WorkerNotReady` with what is to be done unless the worker may take tasks."""
    _require_approved(worker)
    if not worker.is_online():
        seconds = round(ONLINE_FOR.total_seconds())
        raise WorkerNotReady(
            f"The worker is offline: no heartbeat for {seconds} seconds; "
            f"send one with POST /workers/{worker.id}/heartbeat."
        )


def _require_approved(worker: WorkerNode) -> None:
    if worker.is_approved is None:
        raise WorkerNotReady("The worker waits for the approval of an admin of the platform.")
    if not worker.is_approved:
        raise WorkerNotReady("The worker was rejected; ask an admin of the platform.")


def _error_of(body: TaskResult) -> dict[str, Any] | None:
    if body.status == "completed":
        return None
    if isinstance(body.error, dict):
        return {"code": "worker_failed", **body.error}
    return {"code": "worker_failed", "message": body.error or "The worker told no reason."}
