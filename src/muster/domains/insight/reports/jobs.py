"""Reports as jobs of the engine."""

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.insight.reports.models import Report
from muster.domains.insight.reports.parts import Jobs
from muster.engine import Job
from muster.kernel.db import after_commit

JOB_KIND = "report"
# Behind the runs of the same project, which somebody may be waiting for.
_PRIORITY = 200
_TIMEOUT_S = 3600.0


def job_of(report: Report) -> Job:
    """Return the engine's job that makes a report."""
    return Job(
        id=report.job_id,
        kind=JOB_KIND,
        payload={"report_id": report.id, "job": report.job},
        partition=report.project_id,
        priority=_PRIORITY,
        timeout_s=_TIMEOUT_S,
    )


def submit_later(session: AsyncSession, engine: Jobs, report: Report) -> None:
    """Give a report to the engine when the unit of work is committed.

    A process that dies in between leaves a queued report without a job; the dispatcher finds it.
    """
    job = job_of(report)

    async def submit() -> None:
        await engine.submit(job)

    after_commit(session, submit)
