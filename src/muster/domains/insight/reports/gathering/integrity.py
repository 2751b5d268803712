"""Recomputing the chains that a report rests on."""

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.insight.reports.checks import LogChecks
from muster.domains.insight.reports.document import Integrity, InvalidRun
from muster.domains.insight.reports.extent import Extent, snapshot
from muster.domains.insight.reports.gathering.steps import Told
from muster.domains.work.journal import BlobStore, Run, Step, verify_run
from muster.kernel.db import Database
from muster.platform.events import EventRecord

MOST_INVALID = 200
_BATCH = 50
_REMOVED = "the log of events tells of the run, and it is not there: it was removed"
_UNREADABLE = "the run or one of its steps cannot be read"


async def verify(
    database: Database, extent: Extent, blobs: BlobStore, checks: LogChecks, told: Told
) -> Integrity:
    """Recompute the project's log of events, and the chain of each run that has to do with it.

    Those are runs that were created, or had a step, in the period. Every chain is recomputed from
    its first step on, and as it stands now: one that goes on meanwhile is no fault.
    """
    # In this order, so that the newest checkpoint is among those that the events are held against.
    checkpoint, problem = await checks.checkpoint(extent.project_id)
    events = await checks.check_events(extent.project_id)
    ids, invalid = await _runs(database, extent), await _removed(database, extent)
    valid = steps = 0
    removed = broken = len(invalid)
    del invalid[MOST_INVALID:]
    for start in range(0, len(ids), _BATCH):
        async with snapshot(database) as session:
            for run_id in ids[start : start + _BATCH]:
                found, counted = await _verify(session, run_id, blobs)
                steps += counted
                valid += found is None
                broken += found is not None
                if found is not None and len(invalid) < MOST_INVALID:
                    invalid.append(found)
                session.expunge_all()
        await told(min(1.0, (start + _BATCH) / len(ids)))
    return Integrity(
        events=events,
        runs=len(ids) + removed,
        runs_valid=valid,
        runs_invalid=broken,
        steps=steps,
        invalid=invalid,
        checkpoint=checkpoint,
        checkpoint_problem=problem,
    )


async def _runs(database: Database, extent: Extent) -> Sequence[str]:
    # Ids alone: of a million runs they are some ten megabytes.
    stepped = select(Step.run_id).where(
        Step.project_id == extent.project_id, extent.during(Step.ended_at)
    )
    query = (
        select(Run.id)
        .where(
            extent.own(Run.project_id, Run.agent_id),
            or_(extent.during(Run.created_at), Run.id.in_(stepped)),
        )
        .order_by(Run.id)
    )
    async with database.read() as session:
        return (await session.scalars(query)).all()


async def _removed(database: Database, extent: Extent) -> list[InvalidRun]:
    """Return the runs that the log of events tells of and that are not there; none is ever deleted.

    Where only some agents are asked for, nobody can tell whose they were.
    """
    if extent.is_of_some_agents:
        return []
    still_there = select(Run.id).where(Run.id == EventRecord.subject_id).exists()
    query = (
        select(EventRecord.subject_id)
        .where(
            EventRecord.chain == extent.project_id,
            EventRecord.type == "run.created",
            extent.during(EventRecord.created_at),
            EventRecord.subject_id.is_not(None),
            ~still_there,
        )
        .order_by(EventRecord.seq)
    )
    async with database.read() as session:
        return [
            InvalidRun(run_id=str(run_id), name="unknown", first_bad_seq=None, reason=_REMOVED)
            for run_id in await session.scalars(query)
        ]


async def _verify(
    session: AsyncSession, run_id: str, blobs: BlobStore
) -> tuple[InvalidRun | None, int]:
    """Return what is wrong with a run, if anything, and how many steps it has."""
    name = "unreadable"
    try:
        run = await session.get(Run, run_id)
        if run is None:
            reason = "the run was removed while its chain was recomputed"
            return InvalidRun(run_id=run_id, name=name, first_bad_seq=None, reason=reason), 0
        name = run.name
        found = await verify_run(session, run, blobs)
    except (ValueError, TypeError):  # what the platform never wrote
        return InvalidRun(run_id=run_id, name=name, first_bad_seq=None, reason=_UNREADABLE), 0
    if found.valid:
        return None, found.steps
    return (
        InvalidRun(
            run_id=run_id,
            name=name,
            first_bad_seq=found.first_bad_seq,
            reason=found.reason or _UNREADABLE,
        ),
        found.steps,
    )
