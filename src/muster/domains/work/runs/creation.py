"""Making a run: the row with its frozen snapshot, and its event."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import Run, RunStatus
from muster.domains.work.runs.events import RunCreated
from muster.domains.work.runs.lifecycle import RunMove, go_along
from muster.kernel.ids import new_id
from muster.platform import events
from muster.platform.access import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What a run is made of. `snapshot` holds the agent's definition as it is now, the model's
    name and the files: the run is ruled by it, whatever becomes of the agent.
    """

    agent_id: str | None
    snapshot: dict[str, Any]
    inputs: dict[str, Any]
    name: str
    timeout_s: int
    kind: str = "agent"
    target_id: str | None = None
    origin: str = "start"
    priority: int = 100
    id: str = field(default_factory=new_id)
    parent_run_id: str | None = None
    parent_key: str | None = None
    origin_run_id: str | None = None
    origin_seq: int | None = None


async def insert_run(session: AsyncSession, caller: Caller, new: NewRun) -> Run:
    """Insert a pending run with its event."""
    run = Run(
        id=new.id,
        project_id=caller.project_id,
        kind=new.kind,
        target_id=new.target_id,
        name=new.name,
        agent_id=new.agent_id,
        agent_version=new.snapshot["version"],
        snapshot=new.snapshot,
        inputs=new.inputs,
        parent_run_id=new.parent_run_id,
        parent_key=new.parent_key,
        origin=new.origin,
        origin_run_id=new.origin_run_id,
        origin_seq=new.origin_seq,
        started_by_kind=caller.kind.value,
        started_by_id=caller.key_id or caller.id,
        started_by_name=caller.name,
        priority=new.priority,
        timeout_s=new.timeout_s,
        status=RunStatus.PENDING.value,
    )
    session.add(run)
    await session.flush()
    events.record(
        session,
        caller,
        RunCreated(
            run_id=run.id, name=run.name, kind=run.kind, agent_id=run.agent_id, origin=run.origin
        ),
    )
    await go_along(session, caller, RunMove(run, "created"))
    return run
