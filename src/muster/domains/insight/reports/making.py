"""Making a report: the handler of its job.

It may be invoked again at any time, by any process, and then begins anew; what it makes does not
depend on how often it began. Only the newest invocation can write.
"""

import asyncio
import time
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select

from muster.domains.insight.reports.events import ReportCompleted, ReportFailed
from muster.domains.insight.reports.models import Report
from muster.domains.insight.reports.parts import ReportParts
from muster.domains.insight.reports.repository import advance, take_up
from muster.engine import JobContext, Stop
from muster.kernel import clock
from muster.kernel.logging import get_logger
from muster.platform import events
from muster.platform.access import Caller

MOST_ATTEMPTS = 5
_TELL_EVERY_S = 1.0
# Where each phase begins and ends, in percent.
_SHARES = {"reading": (0, 40), "verifying": (40, 80), "rendering": (80, 95), "storing": (95, 99)}
_FAILED = (
    "An error kept it from being made; the server's log has it under the report's id. "
    "GET /audit/verify tells whether records were changed."
)
_TOO_LONG = "It took longer than an hour; ask for a shorter period or fewer agents."
_TOO_OFTEN = f"The process that made it ended {MOST_ATTEMPTS} times; ask for a shorter period."
_LOST = "The service was restarted while the report was made."

logger = get_logger(__name__)


class Superseded(Exception):
    """The report was deleted, or another process makes it: this one stops."""


class ReportMaker:
    """Makes reports. One per process."""

    def __init__(self, parts: ReportParts) -> None:
        self._parts = parts

    async def handle(self, context: JobContext) -> None:
        """Make the report of a job."""
        payload = context.job.payload
        async with self._parts.database.write() as session:
            report = await take_up(session, payload["report_id"], payload["job"])
        if report is None:
            return
        if report.attempt > MOST_ATTEMPTS:
            await self._fail(report, _TOO_OFTEN)
            return
        try:
            await self._make(report)
        except asyncio.CancelledError:
            # One that is stopped for another reason begins anew, or was deleted.
            if context.stop is Stop.TIMEOUT:
                await self._fail(report, _TOO_LONG)
            raise
        except Superseded:
            return
        except Exception:
            logger.exception("report_failed", report_id=report.id)
            await self._fail(report, _FAILED)

    async def lost(self, job_id: str, payload: dict[str, Any]) -> None:
        """Give up a report whose job will not be invoked again."""
        del job_id
        async with self._parts.database.read() as session:
            query = select(Report).where(
                Report.id == payload["report_id"], Report.job == payload["job"]
            )
            report = await session.scalar(query)
        if report is None:
            return
        if report.status == "queued":
            async with self._parts.database.write() as session:
                report = await take_up(session, report.id, report.job)
        if report is not None:
            await self._fail(report, _LOST)

    async def _make(self, report: Report) -> None:
        # Reports are rare: no start of a process is to wait for what only they need.
        from muster.domains.insight.reports.gathering.gather import gather
        from muster.domains.insight.reports.rendering import render

        progress = _Progress(self._parts, report)
        parts = self._parts
        document = await gather(parts.database, report, parts.payloads, parts.checks, progress)
        await progress("rendering", 0)
        data = await render(document, report.format)
        await progress("storing", 0)
        digest = sha256(data).hexdigest()
        await parts.files.put(digest, data)
        if not await self._complete(report, document.cover.as_of, digest, len(data)):
            await parts.files.delete(digest)
            raise Superseded

    async def _complete(self, report: Report, as_of: datetime, digest: str, size: int) -> bool:
        async with self._parts.database.write() as session:
            completed = await advance(
                session,
                report,
                status="completed",
                phase="done",
                progress=100,
                as_of=as_of,
                completed_at=clock.now(),
                sha256=digest,
                size=size,
            )
            if completed:
                fact = ReportCompleted(
                    report_id=report.id,
                    title=report.title,
                    format=report.format,
                    size=size,
                    sha256=digest,
                )
                events.record(session, Caller.system(report.project_id), fact)
        return completed

    async def _fail(self, report: Report, reason: str) -> None:
        async with self._parts.database.write() as session:
            if not await advance(
                session,
                report,
                status="failed",
                phase="failed",
                error=reason,
                completed_at=clock.now(),
            ):
                return
            fact = ReportFailed(
                report_id=report.id, title=report.title, format=report.format, reason=reason
            )
            events.record(session, Caller.system(report.project_id), fact)


class _Progress:
    """Writes down how far a report is, not more often than somebody would look."""

    def __init__(self, parts: ReportParts, report: Report) -> None:
        self._parts, self._report = parts, report
        self._phase, self._told_at = "reading", time.monotonic()

    async def __call__(self, phase: str, done: float) -> None:
        if phase == self._phase and time.monotonic() - self._told_at < _TELL_EVERY_S:
            return
        begin, end = _SHARES[phase]
        async with self._parts.database.write() as session:
            percent = begin + int((end - begin) * done)
            if not await advance(session, self._report, phase=phase, progress=percent):
                raise Superseded
        self._phase, self._told_at = phase, time.monotonic()
