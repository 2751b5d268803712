"""Exports: lines of JSON that somebody else can check with nothing but a public key.

In this order: what the export is, the public keys, the checkpoints from the earliest to the latest
(each with the proof that it begins with the one before), the events with their hashes and the proof
that they are in the latest checkpoint, and a line that says that this was all.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.logging import get_logger
from muster.platform.access import Caller
from muster.platform.audit.errors import AuditLogBroken, AuditRangeEmpty, AuditRangeInvalid
from muster.platform.audit.events import AuditExported
from muster.platform.audit.merkle import consistency_ranges, inclusion_ranges
from muster.platform.audit.models import AuditCheckpoint, AuditKey
from muster.platform.audit.notes import PublicKey, origin_of, written
from muster.platform.audit.offline import FORMAT
from muster.platform.audit.proving import hexed, load_nodes
from muster.platform.audit.service import AuditLog, newest_checkpoint, newest_event, tree_size
from muster.platform.audit.verifying import checkpoint_of
from muster.platform.events import EventRecord, record

Bound = int | datetime
"""A number of an event, or a moment."""

_BATCH = 256
_COLUMNS = [column.key for column in EventRecord.__table__.columns]

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is exported: events of a chain, and the checkpoint that they are proven against."""

    chain: str
    first_seq: int
    last_seq: int
    size: int


async def begin_export(
    audit: AuditLog, caller: Caller, chain: str, begin: Bound | None, end: Bound | None
) -> Export:
    """Find out what is to be exported, record that it is, and make a checkpoint.

    Raises:
        AuditRangeEmpty: There is no event in the range.
        AuditRangeInvalid: The range ends before it begins.
    """
    async with audit.database.read() as session:
        # What was signed counts as well: that its events are gone shall be seen in the export.
        newest = max(await newest_event(session, chain), await tree_size(session, chain))
        first, last = await _numbers(session, chain, begin, end)
    if first is not None and last is not None and first > last:
        raise AuditRangeInvalid
    first, last = first or 1, min(last or newest, newest)
    if first > last:
        raise AuditRangeEmpty
    fact = AuditExported(chain_id=chain, first_seq=first, last_seq=last)
    async with audit.database.write() as session:
        record(session, replace(caller, project_id=chain), fact)
    size = await _checkpoint(audit, chain)
    return Export(chain=chain, first_seq=first, last_seq=min(last, size), size=size)


async def _numbers(
    session: AsyncSession, chain: str, begin: Bound | None, end: Bound | None
) -> tuple[int | None, int | None]:
    """Return the first and the last number; of a time, those between which all its events are."""
    if isinstance(begin, datetime) and isinstance(end, datetime) and begin > end:
        raise AuditRangeInvalid
    statement = select(func.min(EventRecord.seq), func.max(EventRecord.seq)).where(
        EventRecord.chain == chain
    )
    if isinstance(begin, datetime):
        statement = statement.where(EventRecord.created_at >= begin)
    if isinstance(end, datetime):
        statement = statement.where(EventRecord.created_at <= end)
    first, last = begin, end
    if isinstance(begin, datetime) or isinstance(end, datetime):
        lowest, highest = (await session.execute(statement)).one()
        if not lowest:
            raise AuditRangeEmpty
        first = lowest if isinstance(begin, datetime) else begin
        last = highest if isinstance(end, datetime) else end
    assert not isinstance(first, datetime)  # noqa: S101 - replaced above
    assert not isinstance(last, datetime)  # noqa: S101
    return first, last


async def _checkpoint(audit: AuditLog, chain: str) -> int:
    try:
        return (await audit.checkpoint(chain)).size
    except AuditLogBroken:
        # A log that was changed is what one wants to export: against what was signed before.
        async with audit.database.read() as session:
            known = await newest_checkpoint(session, chain)
        if known is None:
            raise
        return known.size


async def export_head(database: Database, export: Export) -> bytes:
    """Return what comes before the events.

    Raises:
        AuditLogBroken: The tree cannot prove the checkpoints any more.
    """
    async with database.read() as session:
        keys = (await session.scalars(select(AuditKey).order_by(AuditKey.created_at))).all()
        signed = await _checkpoints(session, export)
        lines = [_header(export), *map(_key, keys)]
        before: AuditCheckpoint | None = None
        for row in signed:
            name = next((key.name for key in keys if key.id == row.key_id), "unknown")
            lines.append(await _checkpoint_line(session, row, name, before))
            before = row
    return _encoded(lines)


async def export_lines(database: Database, export: Export, head: bytes) -> AsyncGenerator[bytes]:
    """Yield the whole export. No session is held while the receiver reads."""
    yield head
    seq = export.first_seq - 1
    while seq < export.last_seq:
        try:
            batch = await _events(database, export, seq)
        except (ValueError, TypeError, AuditLogBroken) as error:
            # The answer has begun; without its last line nobody takes it for a whole one.
            logger.error("audit_export_broken_off", after_seq=seq, error=type(error).__name__)  # noqa: TRY400
            return
        if not batch:
            break
        seq = batch[-1]["event"]["seq"]
        yield await asyncio.to_thread(_encoded, batch)
    yield _encoded([{"kind": "end"}])


async def _checkpoints(session: AsyncSession, export: Export) -> Sequence[AuditCheckpoint]:
    """Return those over the range, the last one before it, and the latest."""
    size = AuditCheckpoint.size
    of_chain = select(AuditCheckpoint).where(AuditCheckpoint.chain == export.chain)
    before = (
        select(func.max(size))
        .where(AuditCheckpoint.chain == export.chain, size < export.first_seq)
        .scalar_subquery()
    )
    wanted = or_(
        size.between(export.first_seq, export.last_seq), size == before, size == export.size
    )
    return (await session.scalars(of_chain.where(wanted).order_by(size))).all()


async def _checkpoint_line(
    session: AsyncSession, row: AuditCheckpoint, key_name: str, before: AuditCheckpoint | None
) -> dict[str, Any]:
    proof: list[str] = []
    if before is not None:
        ranges = consistency_ranges(before.size, row.size)
        proof = hexed(ranges, await load_nodes(session, row.chain, ranges))
    note = written(checkpoint_of(row), key_name, row.key_id, row.signature)
    return {"kind": "checkpoint", "size": row.size, "note": note, "consistency": proof}


async def _events(database: Database, export: Export, after: int) -> list[dict[str, Any]]:
    async with database.read() as session:
        statement = (
            select(EventRecord)
            .where(
                EventRecord.chain == export.chain,
                EventRecord.seq > after,
                EventRecord.seq <= export.last_seq,
            )
            .order_by(EventRecord.seq)
            .limit(_BATCH)
        )
        rows = (await session.scalars(statement)).all()
        ranges = [inclusion_ranges(row.seq - 1, export.size) for row in rows]
        flat = {range_ for proof in ranges for range_ in proof}
        nodes = await load_nodes(session, export.chain, flat)
    return [
        {"kind": "event", "event": _event(row), "proof": hexed(proof, nodes)}
        for row, proof in zip(rows, ranges, strict=True)
    ]


def _event(row: EventRecord) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in _COLUMNS}
    return {**shown, "created_at": clock.iso(row.created_at)}


def _header(export: Export) -> dict[str, Any]:
    return {
        "kind": "export",
        "format": FORMAT,
        "chain": export.chain,
        "origin": origin_of(export.chain),
        "first_seq": export.first_seq,
        "last_seq": export.last_seq,
        "size": export.size,
        "exported_at": clock.iso(clock.now()),
    }


def _key(row: AuditKey) -> dict[str, Any]:
    return {"kind": "key", "id": row.id, "key": PublicKey(row.name, row.public_key).text}


def _encoded(lines: Iterable[dict[str, Any]]) -> bytes:
    text = "".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines
    )
    return text.encode()
