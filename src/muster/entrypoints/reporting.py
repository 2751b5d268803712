"""Putting together what makes reports."""

from pathlib import Path

from muster.adapters.blobs import LocalBlobStore
from muster.domains.insight.reports import (
    CheckpointFacts,
    EventCheck,
    LogChecks,
    ReportParts,
)
from muster.domains.work.runs import RunParts
from muster.kernel.db import Database
from muster.kernel.errors import AppError
from muster.platform.audit.models import AuditCheckpoint, AuditKey
from muster.platform.audit.notes import PublicKey
from muster.platform.audit.service import AuditLog, newest_checkpoint
from muster.platform.audit.verifying import verify_log


def report_parts(
    data_dir: Path, database: Database, runs: RunParts, audit: AuditLog
) -> ReportParts:
    """Return what reports need of the process."""

    async def check_events(project_id: str) -> EventCheck:
        found = await verify_log(database, project_id)
        return EventCheck(
            valid=found.valid,
            events=found.events,
            checkpoints=found.checkpoints,
            head_seq=found.head_seq,
            head_hash=found.head_hash,
            first_bad_seq=found.first_bad_seq,
            problem=found.problem,
            reason=found.reason,
        )

    async def checkpoint(project_id: str) -> tuple[CheckpointFacts | None, str | None]:
        problem: str | None = None
        try:
            row: AuditCheckpoint | None = await audit.checkpoint(project_id)
        except AppError as error:
            problem = error.detail or error.title
            async with database.read() as session:
                row = await newest_checkpoint(session, project_id)
        return (await _facts(database, row) if row else None), problem

    return ReportParts(
        database=database,
        engine=runs.engine,
        payloads=runs.blobs,
        files=LocalBlobStore(data_dir / "reports"),
        checks=LogChecks(check_events=check_events, checkpoint=checkpoint),
    )


async def _facts(database: Database, row: AuditCheckpoint) -> CheckpointFacts:
    # Reports are rare: no start is to wait for what only they need.
    from muster.platform.audit.schemas import CheckpointOut

    async with database.read() as session:
        key = await session.get_one(AuditKey, row.key_id)
    shown = CheckpointOut.of(row, key.name)
    return CheckpointFacts(
        origin=shown.origin,
        size=shown.size,
        root=shown.root,
        key_id=shown.key_id,
        public_key=PublicKey(key.name, key.public_key).text,
        note=shown.note,
        created_at=shown.created_at,
    )
