"""HTTP surface of the audit log: checkpoints, proofs, verification, exports."""

from typing import Annotated

from fastapi import Depends, Query
from sqlalchemy import select
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse

from muster.kernel.http import Db, Reading, Router, problems
from muster.kernel.paging import CursorPage, Rows, paginate
from muster.platform.access import Caller, Scope, requires
from muster.platform.audit.errors import (
    AuditEventNotFound,
    AuditKeyBroken,
    AuditLogBroken,
    AuditLogEmpty,
    AuditRangeEmpty,
    AuditRangeInvalid,
    AuditSizeInvalid,
    PlatformLogForbidden,
)
from muster.platform.audit.exporting import begin_export, export_head, export_lines
from muster.platform.audit.models import AuditCheckpoint, AuditKey
from muster.platform.audit.proving import prove_consistency, prove_inclusion
from muster.platform.audit.schemas import (
    AuditKeyOut,
    AuditKeysOut,
    AuditVerificationOut,
    ChainParams,
    CheckpointList,
    CheckpointOut,
    ConsistencyParams,
    ConsistencyProofOut,
    ExportParams,
    InclusionParams,
    InclusionProofOut,
)
from muster.platform.audit.service import AuditLog
from muster.platform.audit.verifying import verify_log
from muster.platform.events import PLATFORM_CHAIN

router = Router("/audit", tag="Audit")

CanRead = Annotated[Caller, requires(Scope.EVENTS_READ)]


class NdjsonResponse(StreamingResponse):
    """One JSON object in each line."""

    media_type = "application/x-ndjson"


async def _audit(connection: HTTPConnection) -> AuditLog:
    audit: AuditLog = connection.app.state.audit
    return audit


Audit = Annotated[AuditLog, Depends(_audit)]


def _chain(caller: Caller, params: ChainParams) -> str:
    if params.chain == "project":
        return caller.project_id
    if not caller.may(Scope.AUDIT_READ):
        raise PlatformLogForbidden(
            f"This needs the scope {Scope.AUDIT_READ}, which admins of the platform have; "
            "leave `chain` away for the log of the project."
        )
    return PLATFORM_CHAIN


async def _key_names(session: Reading) -> dict[str, str]:
    rows = await session.execute(select(AuditKey.id, AuditKey.name))
    return {row.id: row.name for row in rows}


@router.get(
    "/checkpoint",
    responses=problems(PlatformLogForbidden, AuditLogEmpty, AuditLogBroken, AuditKeyBroken),
)
async def get_checkpoint(
    audit: Audit, database: Db, caller: CanRead, params: Annotated[ChainParams, Query()]
) -> CheckpointOut:
    """Get a signed checkpoint of all events of the log; it is made when there are newer ones.

    Whoever keeps it can prove later that the log was changed, however well that was done.
    """
    row = await audit.checkpoint(_chain(caller, params))
    async with database.read() as session:
        names = await _key_names(session)
    return CheckpointOut.of(row, names[row.key_id])


@router.get(
    "/checkpoints",
    response_model=CursorPage[CheckpointOut],
    responses=problems(PlatformLogForbidden),
)
async def list_checkpoints(
    session: Reading, caller: CanRead, params: Annotated[CheckpointList, Query()]
) -> Rows[CheckpointOut]:
    """List the checkpoints of the log, newest first.

    Besides those that were asked for, one is made every five minutes in which there are new events.
    """
    statement = select(AuditCheckpoint).where(AuditCheckpoint.chain == _chain(caller, params))
    rows: Rows[AuditCheckpoint] = await paginate(
        session, statement, params, sort=(AuditCheckpoint.size, True), tiebreak=AuditCheckpoint.id
    )
    names = await _key_names(session)
    shown = [CheckpointOut.of(row, names[row.key_id]) for row in rows.items]
    return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more, rows.next_cursor)


@router.get("/keys", responses=problems(AuditKeyBroken))
async def get_audit_keys(audit: Audit, database: Db, _: CanRead) -> AuditKeysOut:
    """Get the public keys that checkpoints are and were signed with.

    Fetch them once, over a connection that you trust, and keep them with the checkpoints.
    """
    current = await audit.key()
    async with database.read() as session:
        rows = await session.scalars(select(AuditKey).order_by(AuditKey.created_at.desc()))
        return AuditKeysOut(keys=[AuditKeyOut.of(row, current.public.id) for row in rows])


@router.get(
    "/proofs/inclusion",
    responses=problems(
        PlatformLogForbidden,
        AuditEventNotFound,
        AuditLogEmpty,
        AuditLogBroken,
        AuditKeyBroken,
        AuditSizeInvalid,
    ),
)
async def prove_event(
    audit: Audit, database: Db, caller: CanRead, params: Annotated[InclusionParams, Query()]
) -> InclusionProofOut:
    """Prove that an event is in the tree that a checkpoint was made of."""
    chain = _chain(caller, params)
    size = params.size or (await audit.checkpoint(chain)).size
    async with database.read() as session:
        proof = await prove_inclusion(session, chain, params.event_id, size)
    return InclusionProofOut.model_validate(proof)


@router.get(
    "/proofs/consistency",
    responses=problems(
        PlatformLogForbidden, AuditLogEmpty, AuditLogBroken, AuditKeyBroken, AuditSizeInvalid
    ),
)
async def prove_checkpoints(
    audit: Audit, database: Db, caller: CanRead, params: Annotated[ConsistencyParams, Query()]
) -> ConsistencyProofOut:
    """Prove that the log, as a checkpoint tells, begins with all that an earlier one tells."""
    chain = _chain(caller, params)
    second = params.second or (await audit.checkpoint(chain)).size
    async with database.read() as session:
        proof = await prove_consistency(session, chain, params.first, second)
    return ConsistencyProofOut.model_validate(proof)


@router.get("/verify", responses=problems(PlatformLogForbidden))
async def verify_audit_log(
    database: Db, caller: CanRead, params: Annotated[ChainParams, Query()]
) -> AuditVerificationOut:
    """Recompute the log: every event, the chain, the tree, and all that was signed.

    Names the first event that is not as it was, and what was done: changed, removed, put into
    another order, cut off at the end, or rewritten.
    """
    return AuditVerificationOut.model_validate(await verify_log(database, _chain(caller, params)))


@router.get(
    "/export",
    response_class=NdjsonResponse,
    responses=problems(
        PlatformLogForbidden, AuditRangeEmpty, AuditLogBroken, AuditKeyBroken, AuditRangeInvalid
    ),
)
async def export_audit_log(
    audit: Audit, database: Db, caller: CanRead, params: Annotated[ExportParams, Query()]
) -> NdjsonResponse:
    """Export events with all that proves them, for `muster verify`.

    One JSON object in each line: the public keys, the checkpoints with proofs that each begins with
    the one before, and the events with proofs that they are in the latest. Of a time, all events
    between its first and its last one come. That there was an export is an event itself.
    """
    chain = _chain(caller, params)
    export = await begin_export(audit, caller, chain, *params.bounds)
    head = await export_head(database, export)
    name = f"audit-{export.first_seq}-{export.last_seq}.ndjson"
    return NdjsonResponse(
        export_lines(database, export, head),
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
