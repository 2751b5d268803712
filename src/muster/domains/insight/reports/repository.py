"""Queries on reports."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.insight.reports.errors import ReportNotFound
from muster.domains.insight.reports.models import Report
from muster.kernel import clock
from muster.kernel.db import Repository
from muster.kernel.paging import Rows

if TYPE_CHECKING:
    from muster.domains.insight.reports.schemas import ReportList

UNFINISHED = ("queued", "running")


class ReportRepository(Repository[Report]):
    """The reports of one project."""

    model, missing = Report, ReportNotFound

    async def search(self, params: "ReportList") -> Rows[Report]:
        """Return reports that match the filters, newest first."""
        query = self.query()
        if params.status:
            query = query.where(Report.status == params.status)
        if params.format:
            query = query.where(Report.format == params.format)
        return await self.page(query, params, (Report.created_at, True))


async def take_up(session: AsyncSession, report_id: str, job: int) -> Report | None:
    """Begin to make a report; from now on nobody who began earlier can write. None: no need."""
    moment = clock.now()
    statement = (
        update(Report)
        .where(Report.id == report_id, Report.job == job, Report.status.in_(UNFINISHED))
        .values(
            status="running",
            phase="reading",
            progress=0,
            attempt=Report.attempt + 1,
            started_at=moment,
            updated_at=moment,
        )
        .returning(Report)
    )
    found: Report | None = await session.scalar(statement)
    return found


async def advance(session: AsyncSession, report: Report, **values: Any) -> bool:
    """Change a report that this process makes; False if it is another's now, or was deleted."""
    statement = (
        update(Report)
        .where(Report.id == report.id, Report.attempt == report.attempt, Report.status == "running")
        .values(**values, updated_at=clock.now())
        .returning(Report.id)
    )
    return await session.scalar(statement) is not None
