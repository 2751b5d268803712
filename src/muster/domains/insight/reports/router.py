"""HTTP surface of reports."""

import re
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Response
from fastapi.responses import StreamingResponse
from starlette.requests import HTTPConnection

from muster.domains.insight.reports.errors import (
    ReportAgentUnknown,
    ReportFrameworkUnknown,
    ReportLost,
    ReportNotFound,
    ReportNotReady,
)
from muster.domains.insight.reports.models import Report
from muster.domains.insight.reports.rendering import MEDIA_TYPES
from muster.domains.insight.reports.schemas import ReportCreate, ReportList, ReportOut
from muster.domains.insight.reports.service import ReportService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.http.routing import BASE
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/reports", tag="Reports")

CanRead = Annotated[Caller, requires(Scope.REPORTS_READ)]
CanWrite = Annotated[Caller, requires(Scope.REPORTS_WRITE)]

_BYTES = {"type": "string", "format": "binary"}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            MEDIA_TYPES["pdf"]: {"schema": _BYTES},
            MEDIA_TYPES["xml"]: {"schema": _BYTES},
            MEDIA_TYPES["json"]: {"schema": {"type": "object"}},
        },
    },
    304: {"description": "The file has the ETag that was sent in If-None-Match."},
}


class ReportFile(StreamingResponse):
    """A report's file. Each one has its own media type."""


async def _reader(connection: HTTPConnection, session: Reading, caller: CanRead) -> ReportService:
    return ReportService(session, caller, connection.app.state.report_parts)


async def _writer(connection: HTTPConnection, caller: CanWrite, session: Writing) -> ReportService:
    return ReportService(session, caller, connection.app.state.report_parts)


Reader = Annotated[ReportService, Depends(_reader)]
Writer = Annotated[ReportService, Depends(_writer)]


@router.get("", response_model=Page[ReportOut])
async def list_reports(reports: Reader, params: Annotated[ReportList, Query()]) -> Rows[Report]:
    """List the reports of the project, newest first."""
    return await reports.list(params)


@router.post(
    "",
    status_code=202,
    response_model=ReportOut,
    responses=problems(ReportFrameworkUnknown, ReportAgentUnknown),
)
async def create_report(reports: Writer, body: ReportCreate, response: Response) -> Report:
    """Ask for a report on a range of time as PDF, XML or JSON.

    It is made in the background, and survives a restart of the server; `Location` is where to look
    how far it is. It tells agents, runs and steps, decisions of the gate, violations, incidents and
    their handling, approvals, costs, changes of access and policies, whether the records are as
    they were written, and how the policies stand to the frameworks that are applied.
    """
    report = await reports.create(body)
    response.headers["location"] = f"{BASE}/reports/{report.id}"
    return report


@router.get("/{report_id}", response_model=ReportOut, responses=problems(ReportNotFound))
async def get_report(reports: Reader, report_id: str) -> Report:
    """Get a report's status and progress."""
    return await reports.get(report_id)


@router.delete("/{report_id}", status_code=204, responses=problems(ReportNotFound))
async def delete_report(reports: Writer, report_id: str) -> None:
    """Delete a report with its file; one that is being made is broken off."""
    await reports.delete(report_id)


@router.get(
    "/{report_id}/download",
    response_class=ReportFile,
    responses={**_FILE, **problems(ReportNotFound, ReportNotReady, ReportLost)},
)
async def download_report(
    reports: Reader,
    report_id: str,
    if_none_match: Annotated[
        str | None, Header(max_length=1000, description="ETag of the file that is there already.")
    ] = None,
) -> Response:
    """Download a report that is completed. The ETag is the SHA-256 of the file."""
    report, pieces = await reports.file(report_id)
    etag = f'"{report.sha256}"'
    if if_none_match and etag in re.split(r"\s*,\s*", if_none_match.replace("W/", "")):
        return Response(status_code=304, headers={"etag": etag})
    name = f"muster-report-{report.period_from:%Y%m%d}-{report.period_to:%Y%m%d}-{report.id[-12:]}"
    return ReportFile(
        pieces,
        media_type=MEDIA_TYPES[report.format],
        headers={
            "content-disposition": f'attachment; filename="{name}.{report.format}"',
            "content-length": str(report.size),
            "etag": etag,
        },
    )
