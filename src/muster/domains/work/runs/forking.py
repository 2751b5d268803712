"""Copying the shared steps of a fork into its own journal, when it starts."""

from muster.domains.work.journal import (
    JournalReader,
    NewStep,
    Run,
    StepKind,
    StepRow,
    StepStatus,
    load_value,
)
from muster.domains.work.runs.parts import RunParts

_ENDS = frozenset({StepKind.TASK_END, StepKind.TASK_ERROR})
_VALUES = ("input", "output", "properties", "decision", "error")


async def copy_shared_steps(parts: RunParts, run: Run) -> bool:
    """Append the steps that a fork shares with its origin; once, all in one append.

    Returns whether there was something to copy.
    """
    if run.origin != "fork" or run.head_seq or run.origin_run_id is None:
        return False
    async with parts.database.read() as session:
        rows = await JournalReader(session).steps(run.origin_run_id, limit=run.origin_seq)
    steps = [await _copied(parts, run, row) for row in rows if row.kind not in _ENDS]
    await parts.writer.append(run.id, run.fence, steps)
    return True


async def _copied(parts: RunParts, run: Run, row: StepRow) -> NewStep:
    values = {name: await load_value(getattr(row, name), parts.blobs) for name in _VALUES}
    if row.key == "start":
        values["input"] = run.inputs
    values["properties"] = {
        **(values["properties"] or {}),
        "copied_from": {"run_id": run.origin_run_id, "seq": row.seq},
    }
    return NewStep(
        key=row.key,
        kind=StepKind(row.kind),
        name=row.name,
        verb=row.verb,
        status=StepStatus(row.status),
        parent_key=row.parent_key,
        agent_id=row.agent_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        # What was paid for was paid by the origin: the copy counts no tokens and costs nothing.
        cost=0.0 if row.kind == StepKind.MODEL else None,
        **values,
    )
