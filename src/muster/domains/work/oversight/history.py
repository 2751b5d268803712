"""The journal as policies read it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.control.policies import (
    NormalStep,
    RateQuery,
    RecordedRun,
    RecordedStep,
    counts_for,
    normalise,
    target_of,
)
from muster.domains.work.journal import (
    BlobStore,
    JournalReader,
    Run,
    Step,
    StepRow,
    StepStatus,
    load_value,
)
from muster.domains.work.logs import ExternalTask
from muster.kernel import clock
from muster.kernel.db import Database

_SENT = "sent"
_OUTCOMES: dict[str, Any] = {
    StepStatus.BLOCKED: "blocked",
    StepStatus.REJECTED: "blocked",
    StepStatus.ERROR: "failed",
    StepStatus.CANCELLED: "failed",
}
_PAGE = 1_000
_HEAD = select(Run.__table__.c.head_seq).where(Run.__table__.c.id == bindparam("run"))
"""Built once: every decision of the gate asks."""


class JournalHistory:
    """Reads steps, wherever their run was executed, as policies see them."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database, self._blobs = database, blobs

    async def steps(
        self, run_id: str, *, after: int, session: AsyncSession | None = None
    ) -> Sequence[RecordedStep]:
        """Return the steps of a run with a number above `after`, in order."""
        found: list[RecordedStep] = []
        if session is None:
            # Mostly there is nothing new, and to look costs a fraction of reading.
            head = await self._database.peek(_HEAD, {"run": run_id})
            if head is None or head.head_seq <= after:
                return found
        while True:
            async with self._reading(session) as unit:
                rows = await JournalReader(unit).steps(run_id, after=after, limit=_PAGE)
            for row in rows:
                step = await normal_of(row, self._blobs)
                found.append(RecordedStep(row.seq, row.key, step, row.ended_at))
            if len(rows) < _PAGE:
                return found
            after = rows[-1].seq

    async def run_of(self, project_id: str, agent_id: str, task_id: str) -> str | None:
        """Return the run of an agent's task, by the agent's own id of it or by that of the run."""
        query = (
            select(Run.id)
            .outerjoin(ExternalTask, ExternalTask.run_id == Run.id)
            .where(
                Run.project_id == project_id,
                Run.agent_id == agent_id,
                or_(ExternalTask.task_id == task_id, Run.id == task_id),
            )
        )
        async with self._database.read() as session:
            return await session.scalar(query.limit(1))

    async def runs(
        self,
        project_id: str,
        *,
        since: datetime,
        until: datetime,
        agent_id: str | None,
        limit: int,
    ) -> Sequence[RecordedRun]:
        """Return runs of agents that were made in a period, newest first.

        The definition is that of the run; an agent that runs elsewhere has only its present one.
        """
        query = (
            select(Run.id, Run.agent_id, Run.snapshot, Agent.spec)
            .join(Agent, Agent.id == Run.agent_id)
            .where(Run.project_id == project_id, Run.created_at >= since, Run.created_at < until)
            .order_by(Run.created_at.desc(), Run.id.desc())
        )
        if agent_id is not None:
            query = query.where(Run.agent_id == agent_id)
        async with self._database.read() as session:
            rows = (await session.execute(query.limit(limit))).all()
        return [
            RecordedRun(row.id, row.agent_id, row.snapshot.get("agent") or row.spec) for row in rows
        ]

    async def counts(
        self,
        agent_id: str,
        queries: Sequence[RateQuery],
        *,
        session: AsyncSession | None = None,
    ) -> dict[str, int]:
        """Return how many steps an agent has recorded that each query asks for, by its key."""
        return {query.key: await self._count(agent_id, query, session) for query in queries}

    @asynccontextmanager
    async def _reading(self, session: AsyncSession | None) -> AsyncGenerator[AsyncSession]:
        """Yield the session that there is, or one of its own."""
        if session is not None:
            yield session
            return
        async with self._database.read() as own:
            yield own

    async def _count(self, agent_id: str, query: RateQuery, session: AsyncSession | None) -> int:
        since = clock.now() - timedelta(minutes=query.window_minutes)
        asked = (Step.agent_id == agent_id, Step.kind == query.kind, Step.ended_at >= since)
        async with self._reading(session) as unit:
            if not query.property_filter:
                return await unit.scalar(select(func.count()).where(*asked)) or 0
            rows = (await unit.execute(select(*Step.__table__.columns).where(*asked))).all()
        steps = [await normal_of(row, self._blobs) for row in rows]
        return sum(map(counts_for(query), steps))


async def normal_of(row: StepRow, blobs: BlobStore) -> NormalStep:
    """Return a step of the journal as policies see it.

    A step that was logged is read again from what was sent, so that it means now what it meant
    when it came.
    """
    values = [await load_value(text, blobs) for text in (row.input, row.output, row.properties)]
    given, output = values[0], values[1]
    properties = cast("Mapping[str, Any]", values[2] or {})
    if _SENT in properties:
        return _logged(row, given, output, properties)
    if "target" not in properties and (target := target_of(given)) is not None:
        properties = {**properties, "target": target}
    return NormalStep(
        kind=row.kind,
        verb=row.verb,
        name=row.name,
        properties=properties,
        input=given,
        output=output,
        outcome=_OUTCOMES.get(row.status, "ok"),
        status=row.status,
        agent_id=row.agent_id,
        task_id=row.run_id,
        seq=row.seq,
        timestamp=clock.iso(row.ended_at),
    )


def _logged(row: StepRow, given: Any, output: Any, properties: Mapping[str, Any]) -> NormalStep:
    sent = dict(cast("Mapping[str, Any]", properties[_SENT]))
    # A property that was itself named like the place of what was sent lies inside of it.
    own = {name: value for name, value in properties.items() if name != _SENT}
    own.update(sent.pop("properties", None) or {})
    return normalise(
        {**sent, "properties": own, "input": given, "output": output, "agent_id": row.agent_id}
    )
