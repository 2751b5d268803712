"""HTTP surface of worker nodes for admins of the platform, who look after those of all projects."""

from typing import Annotated

from fastapi import Depends, Query

from muster.domains.work.workers.approving import WorkerApprovals
from muster.domains.work.workers.errors import WorkerNotFound
from muster.domains.work.workers.schemas import AdminWorkerList, WorkerApproval, WorkerOut
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

admin_router = Router("/admin/workers", tag="Workers")

CanApprove = Annotated[Caller, requires(Scope.WORKERS_APPROVE)]


async def _reader(caller: CanApprove, session: Reading) -> WorkerApprovals:
    return WorkerApprovals(session, caller)


async def _writer(caller: CanApprove, session: Writing) -> WorkerApprovals:
    return WorkerApprovals(session, caller)


Reader = Annotated[WorkerApprovals, Depends(_reader)]
Writer = Annotated[WorkerApprovals, Depends(_writer)]


@admin_router.get("", response_model=Page[WorkerOut])
async def list_all_workers(
    workers: Reader, params: Annotated[AdminWorkerList, Query()]
) -> Rows[WorkerOut]:
    """List the workers of all projects with what their last heartbeats told, newest first."""
    return await workers.list(params)


@admin_router.patch("/{worker_id}/approve", responses=problems(WorkerNotFound))
async def approve_worker(workers: Writer, worker_id: str, body: WorkerApproval) -> WorkerOut:
    """Approve or reject a worker, and put it into a group; an empty text takes it out of one."""
    return await workers.decide(worker_id, body)


@admin_router.delete("/{worker_id}", status_code=204, responses=problems(WorkerNotFound))
async def delete_any_worker(workers: Writer, worker_id: str) -> None:
    """Forget a worker of any project. Should it register again, it waits for approval anew."""
    await workers.delete(worker_id)
