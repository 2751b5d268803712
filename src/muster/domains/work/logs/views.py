"""From a row of the journal to a logged step as the API shows it."""

from typing import Any

from sqlalchemy import Row

from muster.adapters.blobs import LocalBlobStore
from muster.domains.work.journal import duration_ms, load_value
from muster.domains.work.logs.schemas import LogOut
from muster.domains.work.runs import mask
from muster.kernel.paging import Rows


async def shown(rows: Rows[Row[Any]], blobs: LocalBlobStore) -> Rows[LogOut]:
    """Return a page of steps as the API shows it."""
    items = [await _shown(row, blobs) for row in rows.items]
    return Rows(items, rows.total, rows.limit, rows.offset, rows.has_more, rows.next_cursor)


async def _shown(row: Row[Any], blobs: LocalBlobStore) -> LogOut:
    return LogOut(
        id=f"{row.run_id}/{row.seq}",
        execution_id=row.run_id,
        task_id=row.task_id or row.run_id,
        external=row.run_kind == "external",
        agent_id=row.agent_id,
        seq=row.seq,
        kind=row.kind,
        verb=row.verb,
        step_name=row.name,
        status=row.status,
        timestamp=row.ended_at,
        started_at=row.started_at,
        duration_ms=duration_ms(row.started_at, row.ended_at),
        input=mask(await load_value(row.input, blobs)),
        output=await load_value(row.output, blobs),
        properties=await load_value(row.properties, blobs),
        decision=await load_value(row.decision, blobs),
        error=await load_value(row.error, blobs),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        reasoning_tokens=row.reasoning_tokens,
        cost=row.cost,
        hash=row.hash,
        previous_hash=row.previous_hash,
    )
