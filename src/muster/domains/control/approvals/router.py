"""HTTP surface of approvals."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.control.approvals.errors import (
    ApprovalArgumentsInvalid,
    ApprovalChoiceInvalid,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
)
from muster.domains.control.approvals.models import Approval
from muster.domains.control.approvals.schemas import (
    ApprovalCreate,
    ApprovalList,
    ApprovalOut,
    ApproveRequest,
    RejectRequest,
)
from muster.domains.control.approvals.service import ApprovalService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/approvals", tag="Approvals")

CanRead = Annotated[Caller, requires(Scope.APPROVALS_READ)]
CanAsk = Annotated[Caller, requires(Scope.APPROVALS_WRITE)]
CanDecide = Annotated[Caller, requires(Scope.APPROVALS_DECIDE)]


async def _reader(connection: HTTPConnection, session: Reading, caller: CanRead) -> ApprovalService:
    return ApprovalService(session, caller, connection.app.state.approval_decided)


async def _asker(connection: HTTPConnection, caller: CanAsk, session: Writing) -> ApprovalService:
    return ApprovalService(session, caller, connection.app.state.approval_decided)


async def _decider(
    connection: HTTPConnection, caller: CanDecide, session: Writing
) -> ApprovalService:
    return ApprovalService(session, caller, connection.app.state.approval_decided)


Reader = Annotated[ApprovalService, Depends(_reader)]
Asker = Annotated[ApprovalService, Depends(_asker)]
Decider = Annotated[ApprovalService, Depends(_decider)]


@router.get("", response_model=Page[ApprovalOut])
async def list_approvals(
    approvals: Reader, params: Annotated[ApprovalList, Query()]
) -> Rows[Approval]:
    """List approvals, newest first; those that wait, unless another status is asked for."""
    return await approvals.list(params)


@router.post("", status_code=201, response_model=ApprovalOut)
async def create_approval(approvals: Asker, body: ApprovalCreate) -> Approval:
    """Ask people something by hand. Runs ask by themselves."""
    return await approvals.create(body)


@router.get("/{approval_id}", response_model=ApprovalOut, responses=problems(ApprovalNotFound))
async def get_approval(approvals: Reader, approval_id: str) -> Approval:
    """Get an approval with the exact step and arguments that it is about."""
    return await approvals.get(approval_id)


@router.post(
    "/{approval_id}/approve",
    response_model=ApprovalOut,
    responses=problems(
        ApprovalNotFound,
        ApprovalDecided,
        ApprovalExpired,
        ApprovalArgumentsInvalid,
        ApprovalChoiceInvalid,
    ),
)
async def approve_approval(
    approvals: Decider, approval_id: str, body: ApproveRequest | None = None
) -> Approval:
    """Say yes; the run goes on.

    `arguments` replace those that were asked for; they must fit the tool and are judged again.
    """
    return await approvals.approve(approval_id, body or ApproveRequest())


@router.post(
    "/{approval_id}/reject",
    response_model=ApprovalOut,
    responses=problems(ApprovalNotFound, ApprovalDecided, ApprovalExpired),
)
async def reject_approval(
    approvals: Decider, approval_id: str, body: RejectRequest | None = None
) -> Approval:
    """Say no; the run's model is told and goes on without the step, or the run is ended."""
    return await approvals.reject(approval_id, body or RejectRequest())
