"""From rows of the journal to logged steps as the API shows them.

Payloads are most of an answer and lie in the journal as JSON texts. They are handed on as they are:
to make objects of them and texts of these again would hold up all other requests.
"""

from typing import Any

import msgspec
from fastapi import Response
from sqlalchemy import Row

from muster.adapters.blobs import LocalBlobStore
from muster.domains.work.journal import duration_ms, load_text
from muster.domains.work.runs import mask, may_be_masked
from muster.kernel import clock
from muster.kernel.paging import Rows

_ENCODER = msgspec.json.Encoder()
_NOTHING = msgspec.Raw(b"null")


async def answer(rows: Rows[Row[Any]], blobs: LocalBlobStore) -> Response:
    """Return a page of `LogOut` as it is sent."""
    page = {
        "items": [await _shown(row, blobs) for row in rows.items],
        "total": rows.total,
        "limit": rows.limit,
        "offset": rows.offset,
        "has_more": rows.has_more,
        "next_cursor": rows.next_cursor,
    }
    return Response(_ENCODER.encode(page), media_type="application/json")


async def _shown(row: Row[Any], blobs: LocalBlobStore) -> dict[str, Any]:
    return {
        "id": f"{row.run_id}/{row.seq}",
        "execution_id": row.run_id,
        "task_id": row.task_id or row.run_id,
        "external": row.run_kind == "external",
        "agent_id": row.agent_id,
        "seq": row.seq,
        "kind": row.kind,
        "verb": row.verb,
        "step_name": row.name,
        "status": row.status,
        "timestamp": clock.iso(row.ended_at),
        "started_at": clock.iso(row.started_at),
        "duration_ms": duration_ms(row.started_at, row.ended_at),
        "input": _masked(await _payload(row.input, blobs)),
        "output": await _payload(row.output, blobs),
        "properties": await _payload(row.properties, blobs),
        "decision": await _payload(row.decision, blobs),
        "error": await _payload(row.error, blobs),
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cached_tokens": row.cached_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "cost": row.cost,
        "hash": row.hash,
        "previous_hash": row.previous_hash,
    }


async def _payload(text: str | None, blobs: LocalBlobStore) -> msgspec.Raw:
    """Return a payload as it is stored, once it is known to be JSON."""
    if text is None:
        return _NOTHING
    return msgspec.json.decode(await load_text(text, blobs), type=msgspec.Raw)


def _masked(payload: msgspec.Raw) -> Any:
    return mask(msgspec.json.decode(payload)) if may_be_masked(bytes(payload)) else payload
