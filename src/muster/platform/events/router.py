"""HTTP surface of the event log: it can only be read."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from muster.kernel.http import Db, Reading, Router, problems
from muster.kernel.paging import CursorPage, Rows
from muster.platform.access import Caller, Scope, requires
from muster.platform.events.errors import EventChainNotFound, EventNotFound
from muster.platform.events.models import EventRecord
from muster.platform.events.recording import PLATFORM_CHAIN
from muster.platform.events.repository import EventRepository
from muster.platform.events.schemas import (
    AuditList,
    AuditVerifyParams,
    EventList,
    EventOut,
    EventVerificationOut,
)
from muster.platform.events.verifying import verify_chain

router = Router("/events", tag="Events")
audit_router = Router("/admin/audit", tag="Audit")

CanRead = Annotated[Caller, requires(Scope.EVENTS_READ)]
CanAudit = Annotated[Caller, requires(Scope.AUDIT_READ)]


def _shown(rows: Rows[EventRecord]) -> Rows[EventOut]:
    items: Sequence[EventRecord] = rows.items
    shown = [EventOut.of(row) for row in items]
    return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more, rows.next_cursor)


@router.get("", response_model=CursorPage[EventOut])
async def list_events(
    session: Reading, caller: CanRead, params: Annotated[EventList, Query()]
) -> Rows[EventOut]:
    """List the events of the project, newest first.

    Every change of state is one event. Events are only ever added, each with the hash of the one
    before, so that a later change to the log shows.
    """
    return _shown(await EventRepository(session).list(caller.project_id, params))


@router.get("/verify")
async def verify_events(database: Db, caller: CanRead) -> EventVerificationOut:
    """Recompute the hash chain of the project and tell whether its events are as written."""
    return EventVerificationOut.model_validate(await verify_chain(database, caller.project_id))


@router.get("/{event_id}", responses=problems(EventNotFound))
async def get_event(session: Reading, caller: CanRead, event_id: str) -> EventOut:
    """Get one event."""
    return EventOut.of(await EventRepository(session).get(caller.project_id, event_id))


@audit_router.get("", response_model=CursorPage[EventOut])
async def list_audit(
    session: Reading, _: CanAudit, params: Annotated[AuditList, Query()]
) -> Rows[EventOut]:
    """List the events of the whole installation, newest first.

    Those of all projects, and those that concern none: accounts, sign-in, keys, settings.
    """
    return _shown(await EventRepository(session).audit(params))


@audit_router.get("/verify", responses=problems(EventChainNotFound))
async def verify_audit(
    database: Db, _: CanAudit, params: Annotated[AuditVerifyParams, Query()]
) -> EventVerificationOut:
    """Recompute the hash chain of the platform, or of a project."""
    chain = params.project_id or PLATFORM_CHAIN
    found = await verify_chain(database, chain)
    if params.project_id and found.head_seq == 0 and found.valid:
        raise EventChainNotFound
    return EventVerificationOut.model_validate(found)
