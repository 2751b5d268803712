"""Tasks that worker nodes pull, do and report on. Knows nothing of HTTP."""

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import RunAction
from muster.domains.work.logs import Intake, LogAgent
from muster.domains.work.runs import end_external
from muster.domains.work.tasks import Task, TaskLeases, TaskOut
from muster.domains.work.workers.errors import WorkerNotReady
from muster.domains.work.workers.events import WorkerTaskClaimed
from muster.domains.work.workers.models import ONLINE_FOR, WorkerNode
from muster.domains.work.workers.repository import WorkerRepository
from muster.domains.work.workers.schemas import TaskResult
from muster.domains.work.workers.steps import assignment, error_of, outcome
from muster.kernel import clock
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller


class WorkerTasks:
    """Use cases of a worker that takes tasks, for one caller.

    What a worker does is a run of kind `external`: claiming begins it, the report ends it.
    """

    def __init__(self, session: AsyncSession, caller: Caller, intake: Intake) -> None:
        self._session, self._caller, self._intake = session, caller, intake
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
        task, begun = await self._leases.claim(task_id, worker.id, worker.bound_as, lease_s)
        if begun is None or task.lease_until is None:
            return task
        step = assignment(task.id, task.name, begun.inputs, worker)
        agent = LogAgent.of(begun.agent)
        await self._intake.append(self._session, agent, begun.run_id, [step])
        fact = WorkerTaskClaimed(
            worker_id=worker.id,
            name=worker.name,
            task_id=task.id,
            lease_until=clock.iso(task.lease_until),
        )
        events.record(self._session, self._caller, fact)
        return task

    async def report(self, worker_id: str, task_id: str, body: TaskResult) -> TaskOut:
        """End a task that the worker has; the same report again changes nothing."""
        steps = outcome(task_id, body)
        # Put away before the unit of work holds anything: a result may be long.
        rows = await self._intake.rows(steps)
        worker = await self._worker(worker_id, task_id)
        _require_approved(worker)
        task = await self._leases.held(task_id)
        if not _has_told(task, worker, body):
            agent = await self._leases.agent_at_work(task, worker.id)
            run_id = str(task.last_run_id)
            await self._intake.append(self._session, LogAgent.of(agent), run_id, steps, rows)
            await self._end(run_id, body)
        return await self._leases.shown(task)

    async def _end(self, run_id: str, body: TaskResult) -> None:
        """End the run; its task goes along."""
        error = error_of(body)
        await end_external(
            self._session,
            self._caller,
            run_id,
            RunAction.FAIL if error else RunAction.COMPLETE,
            reason=str(error.get("message") or error["code"])[:1_000] if error else None,
            result=body.result,
            error=error,
        )

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


def _has_told(task: Task, worker: WorkerNode, body: TaskResult) -> bool:
    """Tell whether this worker has ended the task with this very report already."""
    told = (worker.id, body.status, body.result, error_of(body))
    return (task.worker_id, task.status, task.result, task.error) == told
