"""Tasks go along with the moves of their runs."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import Run
from muster.domains.work.tasks import follow_run
from muster.platform.access import Caller


async def follow_task(
    session: AsyncSession,
    caller: Caller,
    run: Run,
    status: str,
    result: Any,
    error: dict[str, Any] | None,
) -> None:
    """Let the task of a run, if it has one, be as the run is."""
    if run.kind == "task" and run.target_id is not None:
        await follow_run(session, caller, run.target_id, run.id, status, result, error)
