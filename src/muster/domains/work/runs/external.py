"""Runs that happen elsewhere: begun, taken up again and ended by what their agents log."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL, Agent
from muster.domains.work.journal import Run, RunAction, transition
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.creation import NewRun, insert_run
from muster.platform.access import Caller

EXTERNAL_FENCE = 0
"""The fence of every run that happens elsewhere: no process ever takes it up."""


async def begin_external(
    session: AsyncSession,
    caller: Caller,
    agent: Agent,
    *,
    run_id: str,
    name: str,
    facts: dict[str, Any],
    inputs: dict[str, Any] | None = None,
    target_id: str | None = None,
    origin: str = "start",
) -> None:
    """Insert a run of an agent that runs elsewhere; it is running from the beginning.

    Args:
        session: The unit of work.
        caller: Who begins it.
        agent: The agent, which is frozen into it.
        run_id: Its id.
        name: Its name.
        facts: What else is frozen into it.
        inputs: What it begins with.
        target_id: The stored task that it is about, which goes along with it.
        origin: How it came about.
    """
    new = NewRun(
        id=run_id,
        kind=EXTERNAL,
        agent_id=agent.id,
        target_id=target_id,
        snapshot={"agent": agent.spec, "version": agent.version, **facts},
        inputs=inputs or {},
        name=name[:255],
        timeout_s=0,
        origin=origin,
    )
    run = await insert_run(session, caller, new)
    await transition(session, run_id, RunAction.PREPARE)
    await lifecycle.start(session, caller, run)


async def resume_external(session: AsyncSession, caller: Caller, run: Run) -> None:
    """Let a run that was taken for left go on: its agent has logged again."""
    await lifecycle.reopen(session, run, RunAction.RESUME)
    await transition(session, run.id, RunAction.PREPARE)
    await lifecycle.start(session, caller, run)


async def end_external(
    session: AsyncSession,
    caller: Caller,
    run_id: str,
    action: RunAction,
    *,
    reason: str | None = None,
    **changes: Any,
) -> None:
    """End a run that happens elsewhere, with its event."""
    run = await session.get_one(Run, run_id, populate_existing=True)
    await lifecycle.finish(session, caller, run, action, reason=reason, **changes)
