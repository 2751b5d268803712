"""Runs that a run starts: an agent that asks another agent.

A child is executed in the process of its parent, inside the parent's step, so that it needs no
place in the queue and cannot wait for one that its parent holds. It has a journal of its own. The
parent's step is found again after a crash by the pair of parent run and step, so that the child
goes on where it stopped.
"""

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.agents import find_agent, ready_snapshot
from muster.domains.work.journal import Fenced, IllegalRunMove, Run, RunAction, RunStatus
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.creation import NewRun, insert_run
from muster.domains.work.runs.interruptions import Suspended
from muster.domains.work.runs.parts import RunParts
from muster.kernel import clock
from muster.platform.access import Caller

MAX_DEPTH = 4
_ENDED_WITH_PARENT = frozenset({RunStatus.STOPPED, RunStatus.CANCELLED})
"""Where a child stands whose parent was ended by a person: its step came to no end."""

# Held until the unit of work ends: whoever ends the parent ends all that it has started by then.
_HOLD = (
    select(Run.fence, Run.status).where(Run.id == bindparam("of_run")).with_for_update(read=True)
)
_CHILD = select(Run).where(
    Run.parent_run_id == bindparam("of_run"), Run.parent_key == bindparam("of_step")
)

Execute = Callable[[Run], Awaitable[None]]
"""Executes a run that was taken up, to its end or to a wait."""

Prepare = Callable[[], Awaitable[NewRun]]
"""Says what a child is made of; may ask model servers, and holds no session when it returns."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that asks: 0 deep when it was started, 1 when a run asked it, and so on.

    `started_by_id` is for whom all of them work.
    """

    run: Run
    caller: Caller
    depth: int
    started_by_id: str


async def run_child(
    parts: RunParts,
    parent: Parent,
    execute: Execute,
    prepare: Prepare,
    *,
    step_key: str,
    reopened: Collection[RunStatus] = _ENDED_WITH_PARENT,
) -> Run:
    """Run what a step of the parent starts to its end, and return it.

    Args:
        parts: Parts of the process.
        parent: The run that the step belongs to.
        execute: Executes a segment of the child.
        prepare: Says what the child is made of when the step is taken for the first time.
        step_key: The step; the child is found again by it.
        reopened: A child with one of these statuses is taken up again.
    """
    child = await _find(parts, parent.run.id, step_key)
    if child is None:
        child = await _insert(parts, parent, await prepare())
        await execute(child)
        child = await _reload(parts, child.id)
    elif child.status in reopened:
        child = await _reopen(parts, parent, child.id)
    while not child.is_final:
        if child.status == RunStatus.WAITING_FOR_APPROVAL:
            # What is asked is asked by the child; this run only waits for it.
            if not _is_due(child):
                raise Suspended(wake_at=child.wake_at)
            await _wake(parts, parent, child)
        elif child.wake_at is not None and not _is_due(child):
            raise Suspended(for_people=False, wake_at=child.wake_at)
        taken = await _take_up(parts, parent, child)
        if taken is not None:
            await execute(taken)
        child = await _reload(parts, child.id)
    return child


async def ask_agent(
    parts: RunParts, parent: Parent, execute: Execute, reference: str, prompt: str, step_key: str
) -> ToolOutcome:
    """Run another agent to its end and return its answer, as a tool does."""
    if parent.depth + 1 >= MAX_DEPTH:
        return _error("too_deep", f"Agents may ask each other at most {MAX_DEPTH} levels deep.")

    async def prepare() -> NewRun:
        return await _asked(parts, parent, reference, prompt, step_key)

    child = await run_child(parts, parent, execute, prepare, step_key=step_key)
    if child.status != RunStatus.COMPLETED:
        text = child.status_reason or f"The agent's run ended as {child.status}."
        return _error("agent_failed", text, run_id=child.id)
    return ToolOutcome(
        content={"agent": child.snapshot["agent"]["name"], "answer": child.result},
        properties={"run_id": child.id},
    )


async def _find(parts: RunParts, parent_id: str, step_key: str) -> Run | None:
    async with parts.database.read() as session:
        parameters = {"of_run": parent_id, "of_step": step_key}
        child: Run | None = await session.scalar(_CHILD, parameters)
        return child


async def _asked(
    parts: RunParts, parent: Parent, reference: str, prompt: str, step_key: str
) -> NewRun:
    project = parent.run.project_id
    async with parts.database.read() as session:
        agent = await find_agent(session, project, reference)
        await parts.access_rules.require_starter(
            parent.started_by_id, project, "agent", {agent.id}, session
        )
        snapshot = await ready_snapshot(session, agent, parts.models, parts.tools)
    return NewRun(
        agent_id=agent.id,
        snapshot=snapshot,
        inputs={"prompt": prompt},
        name=f"{agent.name} for {parent.run.name}"[:255],
        origin="agent",
        timeout_s=parent.run.timeout_s,
        priority=parent.run.priority,
        parent_run_id=parent.run.id,
        parent_key=step_key,
    )


async def _insert(parts: RunParts, parent: Parent, new: NewRun) -> Run:
    """Insert a child and take it up, in one commit."""
    async with parts.database.write() as session:
        await _require_hold(session, parent)
        child = await insert_run(session, parent.caller, new)
        taken = await lifecycle.take_up(
            session, child.id, child.segment, parent.run.executor_id or ""
        )
        assert taken is not None  # noqa: S101 - nobody else knows of it yet
        return taken


async def _require_hold(session: AsyncSession, parent: Parent) -> None:
    """Raise `Fenced` where another process has the parent by now, or somebody has ended it."""
    fence, status = (await session.execute(_HOLD, {"of_run": parent.run.id})).one()
    if fence != parent.run.fence or RunStatus(status).is_final:
        raise Fenced(parent.run.id)


async def _take_up(parts: RunParts, parent: Parent, child: Run) -> Run | None:
    async with parts.database.write() as session:
        await _require_hold(session, parent)
        return await lifecycle.take_up(
            session, child.id, child.segment, parent.run.executor_id or ""
        )


def _is_due(child: Run) -> bool:
    return child.wake_at is not None and child.wake_at <= clock.now()


async def _wake(parts: RunParts, parent: Parent, child: Run) -> None:
    """Let a child go on whose moment has come, although people have not answered yet."""
    async with parts.database.write() as session:
        await _require_hold(session, parent)
        current = await session.get_one(Run, child.id)
        if current.segment == child.segment:
            with suppress(IllegalRunMove):  # the answer came in this moment
                await lifecycle.reopen(session, current, RunAction.WAKE)


async def _reopen(parts: RunParts, parent: Parent, run_id: str) -> Run:
    """Let a child go on that was ended together with its parent, which goes on as well."""
    async with parts.database.write() as session:
        await _require_hold(session, parent)
        child = await session.get_one(Run, run_id)
        await lifecycle.reopen(session, child, RunAction.RESUME)
        return child


async def _reload(parts: RunParts, run_id: str) -> Run:
    async with parts.database.read() as session:
        return await session.get_one(Run, run_id)


def _error(code: str, message: str, **properties: str) -> ToolOutcome:
    content = {"error": code, "message": message}
    return ToolOutcome(content=content, is_error=True, properties=dict(properties))
