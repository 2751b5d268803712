"""Rows of the journal, written straight into the database."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import Run, Step
from muster.kernel import clock
from muster.kernel.ids import new_id


async def add_run(session: AsyncSession, project_id: str, **values: Any) -> str:
    """Add a run; returns its id."""
    fields: dict[str, Any] = {
        "id": new_id(),
        "project_id": project_id,
        "kind": "agent",
        "name": "Run",
        "snapshot": {},
        "inputs": {},
        "started_by_kind": "user",
        "started_by_id": "someone",
        "started_by_name": "Someone",
        "timeout_s": 60,
        "status": "running",
    }
    run = Run(**{**fields, **values})
    session.add(run)
    await session.flush()
    return run.id


async def add_call(
    session: AsyncSession,
    project_id: str,
    run_id: str,
    seq: int,
    *,
    cost: float | None,
    ended_at: datetime | None = None,
    provider: str | None = "openai",
    **values: Any,
) -> None:
    """Add the step of a model call to a run."""
    moment = ended_at or clock.now()
    fields: dict[str, Any] = {
        "project_id": project_id,
        "run_id": run_id,
        "seq": seq,
        "key": f"m{seq}",
        "kind": "step.model",
        "name": "gpt",
        "status": "ok",
        "cost": cost,
        "input_tokens": 20,
        "output_tokens": 10,
        "cached_tokens": 5,
        "reasoning_tokens": 3,
        "properties": msgspec.json.encode({"provider": provider} if provider else {}).decode(),
        "started_at": moment,
        "ended_at": moment,
        "previous_hash": "0" * 64,
        "hash": "1" * 64,
    }
    session.add(Step(**{**fields, **values}))
    await session.flush()
