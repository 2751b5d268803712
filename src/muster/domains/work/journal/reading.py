"""Reading the journal: steps in order, long payloads, verification of the chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal.chaining import step_hash
from muster.domains.work.journal.models import Run, Step
from muster.domains.work.journal.payloads import MARK, BlobStore
from muster.domains.work.journal.statuses import StepKind
from muster.kernel.chain import GENESIS

StepRow = Row[Any]
"""A row of `steps` with all its columns; the ORM is left out on this path."""

_COLUMNS = tuple(column.key for column in Step.__table__.columns)

# Built once: every decision of the gate may ask.
_STEPS = (
    select(*Step.__table__.columns)
    .where(Step.run_id == bindparam("of_run"), Step.seq > bindparam("after"))
    .order_by(Step.seq)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether a run's chain is whole; if not, the first bad number and why."""

    valid: bool
    steps: int
    head_hash: str
    first_bad_seq: int | None = None
    reason: str | None = None


async def load_value(text: str | None, blobs: BlobStore) -> Any:
    """Return the value that a journal text stands for, fetched from the blob store if need be."""
    if text is None:
        return None
    if is_blob(text):
        return msgspec.json.decode(await blobs.get(_digest(text)))
    return msgspec.json.decode(text)


def is_blob(text: str) -> bool:
    """Tell whether a journal text only names a payload in the blob store."""
    return text.startswith(f'{{"{MARK}"')


def _digest(text: str) -> str:
    return str(msgspec.json.decode(text)[MARK]["sha256"])


class JournalReader:
    """Reads steps. The caller has checked that the run belongs to the project."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def steps(
        self,
        run_id: str,
        *,
        after: int = 0,
        limit: int | None = None,
        offset: int = 0,
        kind: StepKind | None = None,
    ) -> Sequence[StepRow]:
        """Return the steps of a run with a number above `after`, in order."""
        statement = _STEPS
        if kind is not None:
            statement = statement.where(Step.kind == kind.value)
        if limit is not None:
            statement = statement.limit(limit)
        if offset:
            statement = statement.offset(offset)
        return (await self._session.execute(statement, {"of_run": run_id, "after": after})).all()

    async def count(self, run_id: str, *, after: int = 0, kind: StepKind | None = None) -> int:
        """Return how many steps a run has with a number above `after`."""
        counted = select(func.count()).select_from(Step)
        statement = counted.where(Step.run_id == run_id, Step.seq > after)
        if kind is not None:
            statement = statement.where(Step.kind == kind.value)
        return await self._session.scalar(statement) or 0

    async def recent_model_calls(
        self, agent_id: str, since: datetime, limit: int
    ) -> Sequence[datetime]:
        """Return when the agent called models since a moment, newest first."""
        statement = (
            select(Step.ended_at)
            .where(
                Step.agent_id == agent_id,
                Step.kind == StepKind.MODEL.value,
                Step.ended_at >= since,
            )
            .order_by(Step.ended_at.desc())
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def verify(self, run: Run, blobs: BlobStore) -> Verification:
        """Recompute the chain of a run from its first step to its head."""
        previous, expected = GENESIS, 0

        def bad(seq: int, reason: str) -> Verification:
            return Verification(
                valid=False,
                steps=run.head_seq,
                head_hash=run.head_hash,
                first_bad_seq=seq,
                reason=reason,
            )

        for row in await self.steps(run.id):
            expected += 1
            if row.seq != expected:
                return bad(expected, "a step is missing or out of order")
            if row.previous_hash != previous:
                return bad(row.seq, "the step does not follow the one before it")
            if step_hash(previous, step_values(row)) != row.hash:
                return bad(row.seq, "a field of the step was changed")
            for text in (row.input, row.output, row.properties, row.decision, row.error):
                if not await _blob_intact(text, blobs):
                    return bad(row.seq, "a stored payload of the step was changed or lost")
            previous = row.hash
        if expected != run.head_seq or previous != run.head_hash:
            return bad(expected + 1, "the end of the journal is missing")
        return Verification(valid=True, steps=expected, head_hash=previous)


async def _blob_intact(text: str | None, blobs: BlobStore) -> bool:
    if text is None or not is_blob(text):
        return True
    digest = _digest(text)
    try:
        return sha256(await blobs.get(digest)).hexdigest() == digest
    except FileNotFoundError:
        return False


def step_values(row: StepRow) -> dict[str, Any]:
    """Return a step's columns by name."""
    return dict(zip(_COLUMNS, row, strict=True))


def duration_ms(started_at: datetime, ended_at: datetime) -> float:
    """Return how long something took, in milliseconds."""
    return round((ended_at - started_at).total_seconds() * 1000, 3)
