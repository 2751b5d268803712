"""Tasks go along with the moves of their runs."""

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL
from muster.domains.work.runs import RunMove
from muster.platform.access import Caller


async def follow_task(session: AsyncSession, caller: Caller, move: RunMove) -> None:
    """Let the task of a run, if it has one, be as the run is."""
    run = move.run
    # What runs elsewhere and has a target is a task that a worker node does.
    if run.kind in {"task", EXTERNAL} and run.target_id is not None:
        # No start is to wait for the tasks.
        from muster.domains.work.tasks import follow_run

        await follow_run(
            session, caller, run.target_id, run.id, move.status, move.result, move.error
        )
