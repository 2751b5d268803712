"""The dispatcher of reports: finds those that the engine does not know, and gives them to it.

A report is committed first and submitted right after; a process that dies between the two leaves a
queued report without a job. The same holds for one whose job ended without ending the report.
"""

from datetime import timedelta

from sqlalchemy import or_, select, update

from muster.domains.insight.reports.jobs import submit_later
from muster.domains.insight.reports.models import Report
from muster.domains.insight.reports.parts import ReportParts
from muster.domains.insight.reports.repository import UNFINISHED
from muster.kernel import clock
from muster.kernel.background import repeat
from muster.kernel.logging import get_logger

_INTERVAL_S = 5.0
_QUEUED_FOR = timedelta(seconds=3)
_SILENT_FOR = timedelta(seconds=30)
_BATCH = 200

logger = get_logger(__name__)


class ReportDispatcher:
    """Looks for forgotten reports every few seconds."""

    def __init__(self, parts: ReportParts) -> None:
        self._parts = parts

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        await repeat(self.once, every_s=_INTERVAL_S, name="report_dispatch")

    async def once(self) -> int:
        """Give every forgotten report to the engine; returns how many there were."""
        moment = clock.now()
        queued = (Report.status == "queued") & (Report.updated_at < moment - _QUEUED_FOR)
        silent = (Report.status == "running") & (Report.updated_at < moment - _SILENT_FOR)
        query = select(Report).where(or_(queued, silent)).order_by(Report.created_at).limit(_BATCH)
        async with self._parts.database.read() as session:
            found = (await session.scalars(query)).all()
        if not found:
            return 0
        known = await self._parts.engine.known([report.job_id for report in found])
        forgotten = [report for report in found if report.job_id not in known]
        for report in forgotten:
            await self._again(report)
        return len(forgotten)

    async def _again(self, report: Report) -> None:
        """Give a report to the engine under a new name: it knows a job for ever."""
        async with self._parts.database.write() as session:
            statement = (
                update(Report)
                .where(
                    Report.id == report.id,
                    Report.job == report.job,
                    Report.status.in_(UNFINISHED),
                )
                .values(job=Report.job + 1, status="queued", updated_at=clock.now())
                .returning(Report)
                .execution_options(populate_existing=True)
            )
            again = await session.scalar(statement)
            if again is not None:
                submit_later(session, self._parts.engine, again)
                logger.warning("report_requeued", report_id=report.id)
