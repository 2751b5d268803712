"""HTTP surface of schedules: the view of the crews family on triggers of type `cron`."""

from typing import Annotated

from fastapi import Depends, Query

from muster.domains.work.plans import ExpressionInvalid
from muster.domains.work.triggers.errors import (
    CronInvalid,
    ScheduleNotFound,
    TriggerInvalid,
    TriggerNotAllowed,
)
from muster.domains.work.triggers.models import Trigger
from muster.domains.work.triggers.router import Reader, Writer
from muster.domains.work.triggers.schedules import (
    ScheduleCreate,
    ScheduleList,
    ScheduleOut,
    ScheduleUpdate,
    create_of,
    present_schedule,
    update_of,
)
from muster.domains.work.triggers.schemas import ToggleRequest
from muster.domains.work.triggers.service import TriggerService
from muster.kernel.errors import NotFound
from muster.kernel.http import Router, problems
from muster.kernel.paging import Page, Rows
from muster.kernel.schemas import Message

router = Router("/scheduler/schedules", tag="Scheduler")

_WRONG = (TriggerInvalid, CronInvalid, ExpressionInvalid, TriggerNotAllowed)


async def _found(triggers: TriggerService, schedule_id: str) -> Trigger:
    try:
        trigger = await triggers.get(schedule_id)
    except NotFound:
        raise ScheduleNotFound from None
    if trigger.type != "cron":
        raise ScheduleNotFound
    return trigger


async def _read(triggers: Reader, schedule_id: str) -> Trigger:
    return await _found(triggers, schedule_id)


async def _written(triggers: Writer, schedule_id: str) -> Trigger:
    return await _found(triggers, schedule_id)


ToRead = Annotated[Trigger, Depends(_read)]
ToWrite = Annotated[Trigger, Depends(_written)]


@router.get("")
async def list_schedules(
    triggers: Reader, params: Annotated[ScheduleList, Query()]
) -> Page[ScheduleOut]:
    """List schedules, newest first."""
    rows = await triggers.schedules(
        params, enabled=params.enabled, search=params.search, crew_id=params.crew_id
    )
    items = [present_schedule(trigger) for trigger in rows.items]
    shown = Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)
    return Page[ScheduleOut].model_validate(shown, from_attributes=True)


@router.post("", status_code=201, responses=problems(*_WRONG))
async def create_schedule(triggers: Writer, body: ScheduleCreate) -> ScheduleOut:
    """Run a crew, a workflow or an agent at times. It is a trigger of type `cron` as well."""
    trigger, _ = await triggers.create(create_of(body))
    return present_schedule(trigger)


@router.get("/{schedule_id}", responses=problems(ScheduleNotFound))
async def get_schedule(schedule: ToRead) -> ScheduleOut:
    """Get a schedule with its next time."""
    return present_schedule(schedule)


@router.put("/{schedule_id}", responses=problems(ScheduleNotFound, *_WRONG))
@router.patch(
    "/{schedule_id}",
    responses=problems(ScheduleNotFound, *_WRONG),
    name="update_schedule_by_patch",
)
async def update_schedule(triggers: Writer, schedule: ToWrite, body: ScheduleUpdate) -> ScheduleOut:
    """Change a schedule; what is left away stays."""
    return present_schedule(await triggers.update(schedule.id, update_of(body, schedule)))


@router.delete("/{schedule_id}", responses=problems(ScheduleNotFound))
async def delete_schedule(triggers: Writer, schedule: ToWrite) -> Message:
    """Delete a schedule and its history. Runs that it has started go on."""
    await triggers.delete(schedule.id)
    return Message(message="Schedule deleted")


_TOGGLING = problems(ScheduleNotFound, TriggerNotAllowed, CronInvalid)


@router.patch("/{schedule_id}/toggle", responses=_TOGGLING)
@router.post("/{schedule_id}/toggle", responses=_TOGGLING, name="toggle_schedule_by_post")
async def toggle_schedule(
    triggers: Writer, schedule: ToWrite, body: ToggleRequest | None = None
) -> ScheduleOut:
    """Enable or disable a schedule: as the body says, else it is turned. Its next time is new."""
    return present_schedule(await triggers.toggle(schedule.id, body.enabled if body else None))
