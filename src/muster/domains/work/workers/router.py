"""HTTP surface of worker nodes."""

from typing import Annotated

from fastapi import Depends, Query

from muster.domains.work.workers.errors import WorkerNameTaken, WorkerNotFound
from muster.domains.work.workers.schemas import (
    FleetOverview,
    Heartbeat,
    RegisteredWorker,
    UtilizationPage,
    WorkerList,
    WorkerOut,
    WorkerRegister,
)
from muster.domains.work.workers.service import WorkerService
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


Reader = Annotated[WorkerService, Depends(_reader)]
Writer = Annotated[WorkerService, Depends(_writer)]


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
