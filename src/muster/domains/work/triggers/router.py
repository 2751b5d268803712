"""HTTP surface of triggers."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.work.plans import ExpressionInvalid
from muster.domains.work.triggers.errors import (
    CronInvalid,
    FiringNotFound,
    FiringNotRetryable,
    TriggerHasNoSecret,
    TriggerInvalid,
    TriggerNotAllowed,
    TriggerNotFound,
)
from muster.domains.work.triggers.presenting import (
    present,
    present_firing,
    present_next,
    present_with_secret,
)
from muster.domains.work.triggers.schemas import (
    FireRequest,
    FiringList,
    FiringOut,
    NextOut,
    NextParams,
    RetryFiringRequest,
    ToggleRequest,
    TriggerCreate,
    TriggerList,
    TriggerOut,
    TriggerUpdate,
    TriggerWithSecret,
)
from muster.domains.work.triggers.service import TriggerService
from muster.kernel.http import Reading, Router, Sealing, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/triggers", tag="Triggers")

CanRead = Annotated[Caller, requires(Scope.TRIGGERS_READ)]
CanWrite = Annotated[Caller, requires(Scope.TRIGGERS_WRITE)]
CanFire = Annotated[Caller, requires(Scope.RUNS_EXECUTE)]


async def _reader(
    connection: HTTPConnection, session: Reading, caller: CanRead, key: Sealing
) -> TriggerService:
    return TriggerService(session, caller, key, connection.app.state.live)


async def _writer(
    connection: HTTPConnection, caller: CanWrite, session: Writing, key: Sealing
) -> TriggerService:
    return TriggerService(session, caller, key, connection.app.state.live)


async def _firer(
    connection: HTTPConnection, caller: CanFire, session: Writing, key: Sealing
) -> TriggerService:
    return TriggerService(session, caller, key, connection.app.state.live)


Reader = Annotated[TriggerService, Depends(_reader)]
Writer = Annotated[TriggerService, Depends(_writer)]
Firer = Annotated[TriggerService, Depends(_firer)]

_WRONG = (TriggerInvalid, CronInvalid, ExpressionInvalid, TriggerNotAllowed)


@router.get("")
async def list_triggers(
    triggers: Reader, params: Annotated[TriggerList, Query()]
) -> Page[TriggerOut]:
    """List triggers, newest first."""
    rows = await triggers.list(params)
    items = [present(trigger) for trigger in rows.items]
    shown = Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)
    return Page[TriggerOut].model_validate(shown, from_attributes=True)


@router.post("", status_code=201, responses=problems(*_WRONG))
async def create_trigger(triggers: Writer, body: TriggerCreate) -> TriggerWithSecret:
    """Start something by itself: at times, when a webhook is called, or when an event happens.

    Each time is fired once, however many processes run. What is started is started for you, with
    what you may do at that moment. The secret of a webhook is in this answer and in no other.
    """
    return present_with_secret(*await triggers.create(body))


@router.get("/{trigger_id}", responses=problems(TriggerNotFound))
async def get_trigger(triggers: Reader, trigger_id: str) -> TriggerOut:
    """Get a trigger."""
    return present(await triggers.get(trigger_id))


@router.put("/{trigger_id}", responses=problems(TriggerNotFound, *_WRONG))
@router.patch(
    "/{trigger_id}",
    responses=problems(TriggerNotFound, *_WRONG),
    name="update_trigger_by_patch",
)
async def update_trigger(triggers: Writer, trigger_id: str, body: TriggerUpdate) -> TriggerOut:
    """Change, enable or disable a trigger; what is left away stays. From now on it is yours."""
    return present(await triggers.update(trigger_id, body))


@router.delete("/{trigger_id}", status_code=204, responses=problems(TriggerNotFound))
async def delete_trigger(triggers: Writer, trigger_id: str) -> None:
    """Delete a trigger and its history. Runs that it has started go on."""
    await triggers.delete(trigger_id)


@router.post(
    "/{trigger_id}/toggle", responses=problems(TriggerNotFound, TriggerNotAllowed, CronInvalid)
)
async def toggle_trigger(
    triggers: Writer, trigger_id: str, body: ToggleRequest | None = None
) -> TriggerOut:
    """Enable or disable a trigger: as the body says, else it is turned.

    Times and events that go by while it is disabled are not made up for.
    """
    return present(await triggers.toggle(trigger_id, body.enabled if body else None))


@router.post("/{trigger_id}/fire", status_code=202, responses=problems(TriggerNotFound))
async def fire_trigger(
    triggers: Firer, trigger_id: str, body: FireRequest | None = None
) -> FiringOut:
    """Fire a trigger now, for yourself, whether it is enabled or not."""
    firing = await triggers.fire(trigger_id, body.inputs if body else None)
    return present_firing(firing, None)


@router.post("/{trigger_id}/rotate-secret", responses=problems(TriggerNotFound, TriggerHasNoSecret))
async def rotate_trigger_secret(triggers: Writer, trigger_id: str) -> TriggerWithSecret:
    """Make a new secret for a webhook and show it once. The old one counts for 24 hours more."""
    return present_with_secret(*await triggers.rotate_secret(trigger_id))


@router.get("/{trigger_id}/history", responses=problems(TriggerNotFound))
async def list_trigger_history(
    triggers: Reader, trigger_id: str, params: Annotated[FiringList, Query()]
) -> Page[FiringOut]:
    """List the times that a trigger fired or was kept from it, newest first."""
    rows, statuses = await triggers.history(trigger_id, params)
    items = [present_firing(firing, statuses.get(firing.run_id)) for firing in rows.items]
    shown = Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)
    return Page[FiringOut].model_validate(shown, from_attributes=True)


@router.get(
    "/{trigger_id}/history/{firing_id}", responses=problems(TriggerNotFound, FiringNotFound)
)
async def get_trigger_firing(triggers: Reader, trigger_id: str, firing_id: str) -> FiringOut:
    """Get one time that a trigger fired or was kept from it."""
    return present_firing(*await triggers.firing(trigger_id, firing_id))


@router.post(
    "/{trigger_id}/history/{firing_id}/retry",
    status_code=202,
    responses=problems(TriggerNotFound, FiringNotFound, FiringNotRetryable),
)
async def retry_trigger_firing(
    triggers: Firer, trigger_id: str, firing_id: str, body: RetryFiringRequest | None = None
) -> FiringOut:
    """Start what a firing could not start, for yourself, as the trigger is now.

    It has the inputs that it was fired with, unless you give others. A firing that has started a
    run is not retried: retry the run.
    """
    firing = await triggers.retry(trigger_id, firing_id, body.inputs if body else None)
    return present_firing(firing, None)


@router.get("/{trigger_id}/next", responses=problems(TriggerNotFound))
async def get_trigger_times(
    triggers: Reader, trigger_id: str, params: Annotated[NextParams, Query()]
) -> NextOut:
    """Get the next times of a trigger of type `cron`; none where it goes by no clock."""
    return present_next(await triggers.get(trigger_id), params.count)
