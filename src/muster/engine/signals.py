"""Wishes to cancel jobs that may run in another process, kept until they are fulfilled."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import delete, select

from muster.engine.models import JobSignal
from muster.kernel import clock
from muster.kernel.db import Database

_KEEP = timedelta(days=1)
_REASON_LENGTH = 500


class JobSignals:
    """The durable half of a cancellation; the live bus is the fast one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, job_id: str, reason: str) -> None:
        """Ask for a job to be cancelled; the first reason stays."""
        async with self._database.write() as session:
            if await session.get(JobSignal, job_id, with_for_update=True) is None:
                await session.merge(
                    JobSignal(job_id=job_id, reason=reason[:_REASON_LENGTH], created_at=clock.now())
                )

    async def reasons(self, job_ids: Collection[str]) -> dict[str, str]:
        """Return which of these jobs are to be cancelled, and why."""
        if not job_ids:
            return {}
        async with self._database.read() as session:
            rows = await session.execute(
                select(JobSignal.job_id, JobSignal.reason).where(JobSignal.job_id.in_(job_ids))
            )
            return {row.job_id: row.reason for row in rows}

    async def clear(self, job_id: str) -> None:
        """Forget a wish that is fulfilled."""
        async with self._database.write() as session:
            await session.execute(delete(JobSignal).where(JobSignal.job_id == job_id))

    async def purge(self) -> None:
        """Forget wishes for jobs that had ended before."""
        async with self._database.write() as session:
            await session.execute(
                delete(JobSignal).where(JobSignal.created_at < clock.now() - _KEEP)
            )
