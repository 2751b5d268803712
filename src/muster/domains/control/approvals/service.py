"""What people do with approvals. Knows nothing of HTTP."""

from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.tools.base import ToolInputInvalid, validate_arguments
from muster.domains.control.approvals.asking import INPUT, PENDING, tell_requested
from muster.domains.control.approvals.errors import (
    ApprovalArgumentsInvalid,
    ApprovalChoiceInvalid,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
)
from muster.domains.control.approvals.events import (
    ApprovalApproved,
    ApprovalRejected,
)
from muster.domains.control.approvals.models import Approval
from muster.kernel import clock
from muster.kernel.db import Repository
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller

if TYPE_CHECKING:
    from muster.domains.control.approvals.schemas import (
        ApprovalCreate,
        ApprovalList,
        ApproveRequest,
        RejectRequest,
    )


class Decided(Protocol):
    """Told of a decision inside its unit of work: it wakes the run that waits."""

    async def hold(self, session: AsyncSession, run_id: str) -> None:
        """Let nobody else move the run until the unit of work ends; called before the decision."""
        ...

    async def __call__(self, session: AsyncSession, caller: Caller, approval: Approval) -> None: ...


class ApprovalRepository(Repository[Approval]):
    model, missing = Approval, ApprovalNotFound

    async def search(self, params: "ApprovalList") -> Rows[Approval]:
        """Return approvals that match the filters, newest first."""
        query = self.query()
        if params.status != "all":
            query = query.where(Approval.status == params.status)
        for column, value in (
            (Approval.run_id, params.run_id),
            (Approval.agent_id, params.agent_id),
            (Approval.kind, params.kind),
        ):
            if value:
                query = query.where(column == value)
        return await self.page(query, params, (Approval.created_at, True))


class ApprovalService:
    """Use cases of approvals, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, decided: Decided) -> None:
        self._session, self._caller, self._decided = session, caller, decided
        self._approvals = ApprovalRepository(session, caller.project_id)

    async def list(self, params: "ApprovalList") -> Rows[Approval]:
        return await self._approvals.search(params)

    async def get(self, approval_id: str) -> Approval:
        return await self._approvals.get(approval_id)

    async def create(self, body: "ApprovalCreate") -> Approval:
        """Ask people something by hand."""
        approval = await self._approvals.add(
            kind="manual",
            title=body.title,
            description=body.description,
            details=body.details,
            agent_id=body.agent_id,
            expires_at=body.expires_at,
            requested_by_id=self._caller.key_id or self._caller.id,
            requested_by_name=self._caller.name,
        )
        tell_requested(self._session, self._caller, approval)
        return approval

    async def approve(self, approval_id: str, body: "ApproveRequest") -> Approval:
        """Say yes, maybe to other arguments; whoever decides first decides."""
        approval = await self._approvals.get(approval_id)
        if body.choice is not None and body.choice not in (approval.choices or ()):
            raise ApprovalChoiceInvalid
        arguments = self._edited(approval, body.arguments)
        approval = await self._decide(
            approval,
            "approved",
            reason=body.reason,
            arguments=arguments,
            choice=body.choice or ("retry" if approval.choices else None),
        )
        fact = ApprovalApproved(
            approval_id=approval.id,
            run_id=approval.run_id,
            choice=approval.choice,
            edited=arguments is not None,
        )
        events.record(self._session, self._caller, fact)
        await self._decided(self._session, self._caller, approval)
        return approval

    async def reject(self, approval_id: str, body: "RejectRequest") -> Approval:
        """Say no; the run's model is told, or the run is ended."""
        approval = await self._approvals.get(approval_id)
        # A no to "call it again?" means to go on without the result.
        choice = "fail" if approval.choices and body.end_run else None
        if choice is None:
            choice = "skip" if approval.choices else "end_run" if body.end_run else None
        approval = await self._decide(approval, "rejected", reason=body.reason, choice=choice)
        fact = ApprovalRejected(
            approval_id=approval.id,
            run_id=approval.run_id,
            choice=approval.choice,
            reason=approval.reason,
        )
        events.record(self._session, self._caller, fact)
        await self._decided(self._session, self._caller, approval)
        return approval

    def _edited(
        self, approval: Approval, arguments: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        if approval.kind == INPUT:
            arguments = arguments or {}
        elif arguments is None or arguments == approval.details.get("arguments"):
            return None
        if approval.arguments_schema is None:
            raise ApprovalArgumentsInvalid("This approval has no arguments that can be edited.")
        try:
            return validate_arguments(approval.arguments_schema, arguments)
        except ToolInputInvalid as error:
            raise ApprovalArgumentsInvalid(error.detail, errors=error.errors) from error

    async def _decide(self, approval: Approval, status: str, **values: Any) -> Approval:
        moment = clock.now()
        expired = approval.expires_at is not None and approval.expires_at <= moment
        if approval.status == PENDING and expired:
            raise ApprovalExpired
        if approval.run_id is not None:
            await self._decided.hold(self._session, approval.run_id)
        # One guarded statement: of two people who decide at once one wins, the other is told.
        statement = (
            update(Approval)
            .where(Approval.id == approval.id, Approval.status == PENDING)
            .values(
                status=status,
                decided_by_id=self._caller.id,
                decided_by_name=self._caller.name,
                decided_at=moment,
                updated_at=moment,
                **values,
            )
            .returning(Approval.id)
        )
        if await self._session.scalar(statement) is None:
            raise ApprovalDecided(
                f"The approval is {approval.status} already; a decision cannot be changed."
                if approval.status != PENDING
                else "Somebody else decided at the same moment; read the approval again."
            )
        await self._session.refresh(approval)
        return approval
