"""HTTP surface of worker nodes."""

from typing import Annotated

from fastapi import Depends, Query, Request

from muster.domains.work.tasks import (
    TaskAtWork,
    TaskEnded,
    TaskLeased,
    TaskNotForWorker,
    TaskNotFound,
    TaskNotLeased,
    TaskNotReady,
    TaskOut,
)
from muster.domains.work.workers.errors import WorkerNameTaken, WorkerNotFound, WorkerNotReady
from muster.domains.work.workers.schemas import (
    FleetOverview,
    Heartbeat,
    RegisteredWorker,
    TaskClaim,
    TaskResult,
    UtilizationPage,
    WorkerList,
    WorkerOut,
    WorkerRegister,
)
from muster.domains.work.workers.service import WorkerService
from muster.domains.work.workers.tasks import WorkerTasks
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/workers", tag="Workers")
analytics_router = Router("/analytics/workers", tag="Workers")

CanRead = Annotated[Caller, requires(Scope.WORKERS_READ)]
CanWrite = Annotated[Caller, requires(Scope.WORKERS_WRITE)]


async def _reader(caller: CanRead, session: Reading) -> WorkerService:
    return WorkerService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> WorkerService:
    return WorkerService(session, caller)


async def _tasks_reader(request: Request, caller: CanWrite, session: Reading) -> WorkerTasks:
    return WorkerTasks(session, caller, request.app.state.intake)


async def _tasks_writer(request: Request, caller: CanWrite, session: Writing) -> WorkerTasks:
    return WorkerTasks(session, caller, request.app.state.intake)


Reader = Annotated[WorkerService, Depends(_reader)]
Writer = Annotated[WorkerService, Depends(_writer)]
TasksRead = Annotated[WorkerTasks, Depends(_tasks_reader)]
TasksWrite = Annotated[WorkerTasks, Depends(_tasks_writer)]


@router.get("", response_model=Page[WorkerOut])
async def list_workers(workers: Reader, params: Annotated[WorkerList, Query()]) -> Rows[WorkerOut]:
    """List the workers of the project, newest first."""
    return await workers.list(params)


@router.post("/register", status_code=201, responses=problems(WorkerNameTaken))
async def register_worker(workers: Writer, body: WorkerRegister) -> RegisteredWorker:
    """Register a worker by its name. A new one waits until an admin of the platform approves it.

    Registering the same name again changes what is known of the worker and leaves the decision
    about it as it is; `registration_status` is then "updated".
    """
    return await workers.register(body)


@router.get("/overview")
async def get_fleet_overview(workers: Reader) -> FleetOverview:
    """Get the workers of the project in figures, and the processes that execute runs here."""
    return await workers.overview()


@router.get("/{worker_id}", responses=problems(WorkerNotFound))
async def get_worker(workers: Reader, worker_id: str) -> WorkerOut:
    """Get a worker."""
    return await workers.get(worker_id)


@router.post("/{worker_id}/heartbeat", responses=problems(WorkerNotFound))
async def send_worker_heartbeat(
    workers: Writer, worker_id: str, body: Heartbeat | None = None
) -> WorkerOut:
    """Give a sign of life, at least once a minute: without one a worker counts as offline.

    `approval_status` in the answer tells the worker whether it may take work.
    """
    return await workers.heartbeat(worker_id, body or Heartbeat())


@router.get(
    "/{worker_id}/tasks",
    response_model=Page[TaskOut],
    responses=problems(WorkerNotFound, WorkerNotReady),
)
async def list_worker_tasks(
    tasks: TasksRead, worker_id: str, params: Annotated[ListParams, Query()]
) -> Rows[TaskOut]:
    """List the tasks that a worker may claim: by priority, deadline and age.

    They are the pending tasks of started agents whose `worker_id` is the id of this worker or the
    name of its group. A worker that is not approved, or is offline, gets a 409.
    """
    return await tasks.pending(worker_id, params)


@router.post(
    "/{worker_id}/tasks/{task_id}/claim",
    responses=problems(
        WorkerNotFound,
        WorkerNotReady,
        TaskNotFound,
        TaskNotForWorker,
        TaskLeased,
        TaskAtWork,
        TaskEnded,
        TaskNotReady,
    ),
)
async def claim_worker_task(
    tasks: TasksWrite, worker_id: str, task_id: str, body: TaskClaim | None = None
) -> TaskOut:
    """Take a task for a worker, until `lease_until`; claimed again by the same worker, for longer.

    It is a run of kind `external` from now on, `last_run_id`.

    Of several workers that claim a task one gets it, the others get a 409. A task whose lease
    lapses is pending again; every heartbeat renews all leases of the worker.
    """
    return await tasks.claim(worker_id, task_id, (body or TaskClaim()).lease_s)


@router.post(
    "/{worker_id}/tasks/{task_id}/result",
    responses=problems(WorkerNotFound, WorkerNotReady, TaskNotFound, TaskNotLeased),
)
async def report_worker_task(
    tasks: TasksWrite, worker_id: str, task_id: str, body: TaskResult
) -> TaskOut:
    """Report what became of a task; only the worker that has it may, while its lease lasts.

    It ends the run of the task, with a step for what the models took. The same report again is
    answered as before.
    """
    return await tasks.report(worker_id, task_id, body)


@router.delete("/{worker_id}", status_code=204, responses=problems(WorkerNotFound))
async def delete_worker(workers: Writer, worker_id: str) -> None:
    """Forget a worker. Should it register again, it waits for approval anew."""
    await workers.delete(worker_id)


@analytics_router.get("/utilization")
async def get_workers_utilization(
    workers: Reader, params: Annotated[ListParams, Query()]
) -> UtilizationPage:
    """Get how busy the workers are, as their last heartbeats told."""
    return await workers.utilization(params)
