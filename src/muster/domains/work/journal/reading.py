"""Reading the journal: steps in order, and long payloads."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal.models import Step
from muster.domains.work.journal.payloads import MARK, BlobStore
from muster.domains.work.journal.statuses import StepKind

StepRow = Row[Any]
"""A row of `steps` with all its columns; the ORM is left out on this path."""

_COLUMNS = tuple(column.key for column in Step.__table__.columns)

# Built once: every decision of the gate may ask.
_STEPS = (
    select(*Step.__table__.columns)
    .where(Step.run_id == bindparam("of_run"), Step.seq > bindparam("after"))
    .order_by(Step.seq)
)


async def load_value(text: str | None, blobs: BlobStore) -> Any:
    """Return the value that a journal text stands for, fetched from the blob store if need be."""
    return None if text is None else msgspec.json.decode(await load_text(text, blobs))


async def load_text(text: str, blobs: BlobStore) -> str | bytes:
    """Return the JSON that a journal text stands for, fetched from the blob store if need be."""
    return await blobs.get(digest_of(text)) if is_blob(text) else text


def is_blob(text: str) -> bool:
    """Tell whether a journal text only names a payload in the blob store."""
    return text.startswith(f'{{"{MARK}"')


def digest_of(text: str) -> str:
    """Return by what a payload is known in the blob store."""
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


def step_values(row: StepRow) -> dict[str, Any]:
    """Return a step's columns by name."""
    return dict(zip(_COLUMNS, row, strict=True))


def duration_ms(started_at: datetime, ended_at: datetime) -> float:
    """Return how long something took, in milliseconds."""
    return round((ended_at - started_at).total_seconds() * 1000, 3)
