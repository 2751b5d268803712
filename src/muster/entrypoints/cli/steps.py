"""From a row of the journal to a line on the screen."""

from typing import Any

import msgspec

from muster.adapters.blobs import LocalBlobStore
from muster.domains.work.journal import StepKind, StepRow, load_value
from muster.domains.work.journal.reading import duration_ms
from muster.domains.work.runs.presenting import mask
from muster.entrypoints.cli.screen import ShownStep, call_text, outcome_text


async def shown_step(row: StepRow, blobs: LocalBlobStore) -> ShownStep:
    """Return what the screen shows of a finished step."""
    arguments = mask(await load_value(row.input, blobs)) if row.kind != StepKind.MODEL else None
    return ShownStep(
        seq=row.seq,
        key=row.key,
        kind=row.kind,
        name=row.name,
        status=row.status,
        call=call_text(arguments),
        text=outcome_text(await _outcome(row, blobs)),
        duration_ms=duration_ms(row.started_at, row.ended_at),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost,
    )


async def _outcome(row: StepRow, blobs: LocalBlobStore) -> str:
    error: dict[str, Any] | None = await load_value(row.error, blobs)
    if error:
        return f"→ {error.get('message', row.status)}"
    output = await load_value(row.output, blobs)
    if row.kind == StepKind.MODEL:
        return _said(output or {})
    if row.kind in {StepKind.TASK_START, StepKind.TASK_END, StepKind.TASK_ERROR}:
        return "answered" if row.status == "ok" else str(row.status)
    if row.status in {"blocked", "rejected"} and isinstance(output, dict):
        refusal: dict[str, Any] = output  # pyright: ignore[reportUnknownVariableType]
        return f"→ {row.status}: {refusal.get('message', '')}"
    return f"→ {_plain(output)}"


def _said(reply: dict[str, Any]) -> str:
    calls: list[dict[str, Any]] = reply.get("tool_calls") or []
    if calls:
        return f"calls {', '.join(str(call['name']) for call in calls)}"
    return "answers" if reply.get("content") else "says nothing"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
