"""What people do with reports. Knows nothing of HTTP."""

from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.control.policies import policy_templates
from muster.domains.insight.reports.errors import (
    ReportAgentUnknown,
    ReportFrameworkUnknown,
    ReportLost,
    ReportNotReady,
)
from muster.domains.insight.reports.events import ReportDeleted, ReportRequested
from muster.domains.insight.reports.jobs import submit_later
from muster.domains.insight.reports.models import Report
from muster.domains.insight.reports.parts import ReportParts
from muster.domains.insight.reports.repository import UNFINISHED, ReportRepository
from muster.domains.insight.reports.schemas import ReportCreate, ReportList
from muster.kernel.db import after_commit
from muster.kernel.errors import FieldError
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller


class ReportService:
    """Use cases of reports, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, parts: ReportParts) -> None:
        self._session, self._caller, self._parts = session, caller, parts
        self._reports = ReportRepository(session, caller.project_id)

    async def get(self, report_id: str) -> Report:
        return await self._reports.get(report_id)

    async def create(self, body: ReportCreate) -> Report:
        """Ask for a report; it is made in the background."""
        if body.framework is not None and body.framework not in policy_templates():
            known = ", ".join(policy_templates())
            message = f"must be one of {known}, or left out for all that are applied"
            raise ReportFrameworkUnknown(
                f"framework: {message}", errors=[FieldError("framework", message)]
            )
        await self._require_agents(body.agent_ids or [])
        title = f"Report {body.period_from:%Y-%m-%d} to {body.period_to:%Y-%m-%d}"
        report = await self._reports.add(
            title=body.title or title,
            format=body.format,
            period_from=body.period_from,
            period_to=body.period_to,
            agent_ids=sorted(set(body.agent_ids)) if body.agent_ids else None,
            environment=body.environment,
            framework=body.framework,
            created_by_id=self._caller.key_id or self._caller.id,
            created_by_name=self._caller.name,
        )
        fact = ReportRequested(
            report_id=report.id,
            title=report.title,
            format=report.format,
            period_from=report.period_from,
            period_to=report.period_to,
        )
        events.record(self._session, self._caller, fact)
        submit_later(self._session, self._parts.engine, report)
        return report

    async def _require_agents(self, ids: list[str]) -> None:
        query = select(Agent.id).where(
            Agent.project_id == self._caller.project_id, Agent.id.in_(ids)
        )
        found = set(await self._session.scalars(query)) if ids else set[str]()
        errors = [
            FieldError(f"agent_ids.{place}", "is no agent of this project; GET /agents lists them")
            for place, agent_id in enumerate(ids)
            if agent_id not in found
        ]
        if errors:
            raise ReportAgentUnknown(f"{errors[0].field}: {errors[0].message}", errors=errors)

    async def delete(self, report_id: str) -> None:
        """Delete a report and its file; one that is being made is broken off."""
        report = await self._reports.get(report_id)
        job_id, sha256 = report.job_id, report.sha256
        unfinished = report.status in UNFINISHED
        await self._reports.delete(report)
        fact = ReportDeleted(report_id=report.id, title=report.title, format=report.format)
        events.record(self._session, self._caller, fact)

        async def clean_up() -> None:
            if unfinished:
                await self._parts.engine.cancel(job_id, "the report was deleted")
            if sha256 is not None:
                await self._parts.files.delete(sha256)

        after_commit(self._session, clean_up)

    async def file(self, report_id: str) -> tuple[Report, AsyncIterator[bytes]]:
        """Return a report and its file, piece by piece."""
        report = await self._reports.get(report_id)
        if report.status == "failed":
            raise ReportNotReady(f"Making it failed: {report.error} Ask for it again.")
        if report.status != "completed" or report.sha256 is None:
            raise ReportNotReady(
                f"It is {report.status} and {report.progress} percent done; "
                f"wait until GET /reports/{report.id} says completed."
            )
        try:
            return report, await self._parts.files.stream(report.sha256)
        except FileNotFoundError as error:
            raise ReportLost from error

    # Last in the class: below it `list` would be this method.
    async def list(self, params: ReportList) -> Rows[Report]:
        return await self._reports.search(params)
