"""Recomputing the chain of a run, and holding it against what the log of events says of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal.chaining import step_hash
from muster.domains.work.journal.models import Run, Step
from muster.domains.work.journal.payloads import BlobStore
from muster.domains.work.journal.reading import (
    JournalReader,
    StepRow,
    digest_of,
    is_blob,
    step_values,
)
from muster.kernel.chain import GENESIS
from muster.platform.events import EventRecord

_BATCH = 500
_CHANGED = "a field of the step was changed"
_ENDLESS = "the end of the journal is missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether a run's chain is whole; if not, the first bad number and why."""

    valid: bool
    steps: int
    head_hash: str
    first_bad_seq: int | None = None
    reason: str | None = None


async def verify_run(session: AsyncSession, run: Run, blobs: BlobStore) -> Verification:
    """Recompute the chain of a run from its first step to its head.

    What is read later may have grown meanwhile, never less: first what the log of events says,
    then the head, then the steps. A run that goes on is no fault, whatever the session sees.
    """
    anchors = await _anchors(session, run)
    head_seq, head_hash = await _head(session, run.id)

    def bad(seq: int, reason: str) -> Verification:
        return Verification(
            valid=False, steps=head_seq, head_hash=head_hash, first_bad_seq=seq, reason=reason
        )

    seq, previous = 0, GENESIS
    while seq < head_seq:
        rows = await _batch(session, run.id, seq, min(_BATCH, head_seq - seq))
        if rows is None:
            return bad(seq + 1, _CHANGED)
        if not rows:
            break
        # Elsewhere: a thousand hashes would hold up every other request.
        right, previous, problem = await asyncio.to_thread(_check, rows, seq, previous, anchors)
        for row in rows[:right]:
            seq += 1
            if not await _blobs_intact(row, blobs):
                return bad(seq, "a stored payload of the step was changed or lost")
        if problem is not None:
            return bad(seq + 1, problem)
    if seq < max([head_seq, *anchors]) or previous != head_hash:
        return bad(seq + 1, _ENDLESS)
    last = await session.scalar(select(func.max(Step.seq)).where(Step.run_id == run.id))
    head_now, _ = await _head(session, run.id)
    if (last or 0) > head_now:
        return bad(head_now + 1, "the step was added behind the end of the journal")
    return Verification(valid=True, steps=seq, head_hash=previous)


async def _head(session: AsyncSession, run_id: str) -> tuple[int, str]:
    query = select(Run.head_seq, Run.head_hash).where(Run.id == run_id)
    head_seq, head_hash = (await session.execute(query)).one()
    return head_seq, head_hash


async def _anchors(session: AsyncSession, run: Run) -> dict[int, str]:
    """Return the hash of the last step at each end that the log of events tells of, by number."""
    query = select(EventRecord.data).where(
        EventRecord.chain == run.project_id,
        EventRecord.subject_type == "run",
        EventRecord.subject_id == run.id,
        EventRecord.type.startswith("run."),
    )
    try:
        facts = (await session.scalars(query)).all()
        return {int(data["head_seq"]): data["head_hash"] for data in facts if "head_hash" in data}
    except (ValueError, TypeError, KeyError):
        return {}  # who verifies the log of events is told of it


async def _batch(
    session: AsyncSession, run_id: str, after: int, limit: int
) -> Sequence[StepRow] | None:
    """Return the next steps; None if the next one cannot even be read any more."""
    try:
        return await JournalReader(session).steps(run_id, after=after, limit=limit)
    except (ValueError, TypeError):
        # One unreadable row spoils the batch: look at the rows one by one to find it.
        return None if limit == 1 else await _batch(session, run_id, after, 1)


def _check(
    rows: Sequence[StepRow], seq: int, previous: str, anchors: Mapping[int, str]
) -> tuple[int, str, str | None]:
    """Return how many steps are right, the hash of the last of them, and the problem after it."""
    for count, row in enumerate(rows):
        number = seq + count + 1
        if row.seq != number:
            return count, previous, "a step is missing or out of order"
        if row.previous_hash != previous:
            return count, previous, "the step does not follow the one before it"
        if _hash_of(previous, row) != row.hash:
            return count, previous, _CHANGED
        if anchors.get(number, row.hash) != row.hash:
            return count, previous, "the log of events knows another step here: it was rewritten"
        previous = row.hash
    return len(rows), previous, None


def _hash_of(previous: str, row: StepRow) -> str | None:
    try:
        return step_hash(previous, step_values(row))
    except (ValueError, TypeError):  # what cannot be hashed was never written by us
        return None


async def _blobs_intact(row: StepRow, blobs: BlobStore) -> bool:
    for text in (row.input, row.output, row.properties, row.decision, row.error):
        if text is None or not is_blob(text):
            continue
        digest = digest_of(text)
        try:
            if sha256(await blobs.get(digest)).hexdigest() != digest:
                return False
        except FileNotFoundError:
            return False
    return True
