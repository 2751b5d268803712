"""HTTP surface of incidents."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.catalogue.agents import AgentNotFound
from muster.domains.control.incidents.errors import (
    IncidentFollowed,
    IncidentMoveIllegal,
    IncidentNotFound,
)
from muster.domains.control.incidents.models import Incident
from muster.domains.control.incidents.moves import ACKNOWLEDGE, IGNORE, REACTIVATE, RESOLVE
from muster.domains.control.incidents.schemas import (
    IncidentDetail,
    IncidentFilter,
    IncidentList,
    IncidentMove,
    IncidentOut,
    IncidentReceipt,
    IncidentReport,
    IncidentSummary,
)
from muster.domains.control.incidents.service import FindPolicies, IncidentService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import CursorPage, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/incidents", tag="Incidents")

CanRead = Annotated[Caller, requires(Scope.INCIDENTS_READ)]
CanWrite = Annotated[Caller, requires(Scope.INCIDENTS_WRITE)]
CanReport = Annotated[Caller, requires(Scope.INCIDENTS_REPORT)]


async def _reader(session: Reading, caller: CanRead) -> IncidentService:
    return IncidentService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> IncidentService:
    return IncidentService(session, caller)


async def _reporter(caller: CanReport, session: Writing) -> IncidentService:
    return IncidentService(session, caller)


async def _find_policies(connection: HTTPConnection) -> FindPolicies:
    find: FindPolicies = connection.app.state.find_policies
    return find


Reader = Annotated[IncidentService, Depends(_reader)]
Writer = Annotated[IncidentService, Depends(_writer)]
Reporter = Annotated[IncidentService, Depends(_reporter)]
Finder = Annotated[FindPolicies, Depends(_find_policies)]
Why = IncidentMove | None

_MOVES = problems(IncidentNotFound, IncidentMoveIllegal)
_BACK = problems(IncidentNotFound, IncidentMoveIllegal, IncidentFollowed)


@router.get("", response_model=CursorPage[IncidentOut])
async def list_incidents(
    incidents: Reader, params: Annotated[IncidentList, Query()]
) -> Rows[Incident]:
    """List incidents, the one that happened last first."""
    return await incidents.list(params)


@router.post("", status_code=201, responses=problems(AgentNotFound))
async def report_incidents(
    incidents: Reporter, find_policies: Finder, body: IncidentReport
) -> IncidentReceipt:
    """Report what broke policies that an agent judges in its own process.

    A name that a policy of the project has means that policy. A policy that the same agent broke
    before is counted on the incident that is not resolved. A key reports for the agents of its own
    account.
    """
    return await incidents.report(body, find_policies)


@router.get("/summary")
async def summarize_incidents(
    incidents: Reader, params: Annotated[IncidentFilter, Query()]
) -> IncidentSummary:
    """Count the incidents that match the filters, by status."""
    return await incidents.summary(params)


@router.get("/{incident_id}", responses=problems(IncidentNotFound))
async def get_incident(incidents: Reader, incident_id: str) -> IncidentDetail:
    """Get an incident with every change of its status: who, when and why."""
    return await incidents.get(incident_id)


@router.put(
    "/{incident_id}/acknowledge",
    response_model=IncidentOut,
    responses=_MOVES,
    name="acknowledge_incident_by_put",
)
@router.post("/{incident_id}/acknowledge", response_model=IncidentOut, responses=_MOVES)
async def acknowledge_incident(incidents: Writer, incident_id: str, body: Why = None) -> Incident:
    """Say that somebody works on an open incident: it becomes active."""
    return await incidents.move(incident_id, ACKNOWLEDGE, body.reason if body else None)


@router.put(
    "/{incident_id}/resolve",
    response_model=IncidentOut,
    responses=_MOVES,
    name="resolve_incident_by_put",
)
@router.post("/{incident_id}/resolve", response_model=IncidentOut, responses=_MOVES)
async def resolve_incident(incidents: Writer, incident_id: str, body: Why = None) -> Incident:
    """Say that an incident is done with; if it happens again, a new one is opened."""
    return await incidents.move(incident_id, RESOLVE, body.reason if body else None)


@router.put(
    "/{incident_id}/ignore",
    response_model=IncidentOut,
    responses=_MOVES,
    name="ignore_incident_by_put",
)
@router.post("/{incident_id}/ignore", response_model=IncidentOut, responses=_MOVES)
async def ignore_incident(incidents: Writer, incident_id: str, body: Why = None) -> Incident:
    """Leave an incident aside; when it happens again it is counted and nobody is told."""
    return await incidents.move(incident_id, IGNORE, body.reason if body else None)


@router.put(
    "/{incident_id}/reactivate",
    response_model=IncidentOut,
    responses=_BACK,
    name="reactivate_incident_by_put",
)
@router.post("/{incident_id}/reactivate", response_model=IncidentOut, responses=_BACK)
async def reactivate_incident(incidents: Writer, incident_id: str, body: Why = None) -> Incident:
    """Take up a resolved or ignored incident again: it becomes active."""
    return await incidents.move(incident_id, REACTIVATE, body.reason if body else None)
