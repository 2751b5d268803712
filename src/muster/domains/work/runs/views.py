"""Logs and traces: two ways to read the steps of a run."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, Field

from muster.adapters.blobs import LocalBlobStore
from muster.domains.work.journal import Run, StepKind, StepRow, duration_ms, load_value
from muster.domains.work.runs.presenting import mask, usage_of
from muster.domains.work.runs.schemas import RunUsage
from muster.kernel.paging import CursorParams
from muster.kernel.schemas import UtcTime

_EXCERPT = 300
_MOMENTS: dict[str, str] = {StepKind.TASK_START: "Started", StepKind.TASK_IDLE: "Unfinished"}


class LogParams(CursorParams):
    """Filters of the log of a run."""

    kind: Annotated[StepKind | None, Field(description="Only steps of this kind.")] = None
    after: Annotated[
        int, Field(ge=0, le=2**31 - 1, description="Only steps with a higher number.")
    ] = 0


class LogLine(BaseModel):
    """One step in words, and what is needed to look closer."""

    seq: int
    timestamp: UtcTime
    level: str
    content: str
    kind: str
    name: str
    status: str
    duration_ms: float


class Span(BaseModel):
    """One step as a span. Times are UTC; `duration_ms` in milliseconds; `cost` in US dollars."""

    span_id: str
    parent_span_id: str | None
    trace_id: Annotated[str, Field(description="The run that the step belongs to.")]
    seq: int
    key: str
    name: str
    kind: str
    verb: str | None
    status: Annotated[str, Field(description="OK, ERROR or UNSET, as OpenTelemetry has it.")]
    step_status: str
    started_at: UtcTime
    ended_at: UtcTime
    duration_ms: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost: float | None
    decision: Annotated[dict[str, Any] | None, Field(description="What the gate said.")]
    input: Any
    output: Any
    error: dict[str, Any] | None
    properties: dict[str, Any] | None
    segment: int
    hash: str
    previous_hash: str
    children: Annotated[list[str], Field(description="Ids of the spans below this one.")]


class Trace(BaseModel):
    """The spans of a run, in the order of the journal."""

    trace_id: str
    execution_id: str
    run_name: str
    status: str
    duration_ms: float | None
    usage: RunUsage
    head_hash: str
    spans: list[Span]
    next_seq: Annotated[
        int | None, Field(description="Give it as `after` for the rest; null when this is all.")
    ]


async def log_line(row: StepRow, blobs: LocalBlobStore) -> LogLine:
    """Return a step in words."""
    return LogLine(
        seq=row.seq,
        timestamp=row.ended_at,
        level="error" if row.status == "error" else "warning" if row.status != "ok" else "info",
        content=await _words(row, blobs),
        kind=row.kind,
        name=row.name,
        status=row.status,
        duration_ms=duration_ms(row.started_at, row.ended_at),
    )


async def _words(row: StepRow, blobs: LocalBlobStore) -> str:
    match row.kind:
        case StepKind.TASK_START | StepKind.TASK_IDLE:
            return f"{_MOMENTS[row.kind]}: {row.name}"
        case StepKind.TASK_END:
            return f"Ended: {row.name} ({row.status})"
        case StepKind.TASK_ERROR:
            return f"Failed: {await _error_text(row, blobs)}"
        case StepKind.MODEL:
            return await _model_words(row, blobs)
        case StepKind.UNKNOWN:
            return f"{row.name} ({row.status}): {_excerpt(await load_value(row.output, blobs))}"
        case _:
            return await _tool_words(row, blobs)


async def _model_words(row: StepRow, blobs: LocalBlobStore) -> str:
    if row.status != "ok":
        return f"Model {row.name} failed: {await _error_text(row, blobs)}"
    said = _said(await load_value(row.output, blobs))
    return f"Model {row.name} {said} ({row.input_tokens} tokens in, {row.output_tokens} out)"


def _said(reply: Any) -> str:
    if reply is None:
        return "was asked"
    # Agents that run elsewhere log answers of any shape.
    if not isinstance(reply, dict) or "content" not in reply:
        return f"answers: {_excerpt(reply)}"
    whole: dict[str, Any] = reply  # pyright: ignore[reportUnknownVariableType]
    given: Any = whole.get("tool_calls")
    calls: list[Any] = given if isinstance(given, list) else []  # pyright: ignore[reportUnknownVariableType]
    names = [str(call["name"]) for call in calls if isinstance(call, dict) and "name" in call]  # pyright: ignore[reportUnknownArgumentType]
    return f"calls {', '.join(names)}" if names else f"answers: {_excerpt(whole['content'])}"


async def _tool_words(row: StepRow, blobs: LocalBlobStore) -> str:
    arguments = _excerpt(mask(await load_value(row.input, blobs)))
    output = _excerpt(await load_value(row.output, blobs))
    return f"Tool {row.name}({arguments}) {row.status}: {output}"


async def _error_text(row: StepRow, blobs: LocalBlobStore) -> str:
    error: dict[str, Any] = await load_value(row.error, blobs) or {}
    return str(error.get("message", row.status))


def _excerpt(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


async def build_trace(
    run: Run,
    rows: list[StepRow],
    blobs: LocalBlobStore,
    *,
    more: bool,
    below: Sequence[tuple[Run, Sequence[StepRow]]] = (),
) -> Trace:
    """Return the spans of a run as a tree; `below` are the runs that it started."""
    spans = [await _span(run, row, blobs) for row in rows]
    last = spans[-1].seq if spans else 0
    for child, steps in below:
        for row in steps:
            span = await _span(child, row, blobs)
            spans.append(span if span.parent_span_id else _under_parent(span, child))
    by_id = {span.span_id: span for span in spans}
    for span in spans:
        parent = by_id.get(span.parent_span_id or "")
        if parent is not None:
            parent.children.append(span.span_id)
    elapsed = None
    if run.started_at and run.completed_at:
        elapsed = duration_ms(run.started_at, run.completed_at)
    return Trace(
        trace_id=run.id,
        execution_id=run.id,
        run_name=run.name,
        status=run.status,
        duration_ms=elapsed,
        usage=usage_of(run),
        head_hash=run.head_hash,
        spans=spans,
        next_seq=last if more and spans else None,
    )


def _under_parent(span: Span, child: Run) -> Span:
    """Hang the first span of a run below the step that started it."""
    step, _, _ = (child.parent_key or "").partition("/")
    key = step.partition("+")[0]
    return span.model_copy(update={"parent_span_id": f"{child.parent_run_id}/{key}"})


async def _span(run: Run, row: StepRow, blobs: LocalBlobStore) -> Span:
    otel = {"ok": "OK", "error": "ERROR", "blocked": "ERROR"}.get(row.status, "UNSET")
    return Span(
        span_id=f"{run.id}/{row.key}",
        parent_span_id=f"{run.id}/{row.parent_key}" if row.parent_key else None,
        trace_id=run.id,
        seq=row.seq,
        key=row.key,
        name=row.name,
        kind=row.kind,
        verb=row.verb,
        status=otel,
        step_status=row.status,
        started_at=row.started_at,
        ended_at=row.ended_at,
        duration_ms=duration_ms(row.started_at, row.ended_at),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        reasoning_tokens=row.reasoning_tokens,
        cost=row.cost,
        decision=await load_value(row.decision, blobs),
        input=mask(await load_value(row.input, blobs)),
        output=await load_value(row.output, blobs),
        error=await load_value(row.error, blobs),
        properties=await load_value(row.properties, blobs),
        segment=row.segment,
        hash=row.hash,
        previous_hash=row.previous_hash,
        children=[],
    )
