"""From rows to what the API shows of triggers."""

from typing import Any
from zoneinfo import ZoneInfo

from muster.domains.work.runs import mask
from muster.domains.work.triggers.configuring import KINDS
from muster.domains.work.triggers.cron import CronRule
from muster.domains.work.triggers.models import STARTED, Firing, Trigger
from muster.domains.work.triggers.schemas import (
    FiringOut,
    NextOut,
    TriggerActionOut,
    TriggerOut,
    TriggerWithSecret,
)
from muster.kernel import clock

HOOKS = "/api/v1/hooks"


def present(trigger: Trigger) -> TriggerOut:
    """Return a trigger as it is shown."""
    named = {kind: trigger.target if kind == trigger.target_kind else None for kind in KINDS}
    action = TriggerActionOut(
        type=trigger.target_kind,
        **{kind: reference or None for kind, reference in named.items()},
        definition=trigger.definition,
        inputs=mask(trigger.inputs),
    )
    return TriggerOut(
        id=trigger.id,
        name=trigger.name,
        description=trigger.description,
        type=trigger.type,  # pyright: ignore[reportArgumentType]
        enabled=trigger.enabled,
        config=trigger.config,
        action=action,
        next_run_at=trigger.next_at,
        last_run_at=trigger.last_at,
        hook_url=f"{HOOKS}/{trigger.id}" if trigger.type == "webhook" else None,
        owner_id=trigger.owner_id,
        owner_name=trigger.owner_name,
        group_id=trigger.project_id,
        created_at=trigger.created_at,
        updated_at=trigger.updated_at,
    )


def present_with_secret(trigger: Trigger, secret: str | None) -> TriggerWithSecret:
    """Return a trigger as it is shown with its secret."""
    return TriggerWithSecret(**dict(present(trigger)), secret=secret)


def present_firing(firing: Firing, run_status: str | None) -> FiringOut:
    """Return a firing as it is shown."""
    values: dict[str, Any] = {
        name: getattr(firing, name) for name in FiringOut.model_fields if name != "run_status"
    }
    if firing.status != STARTED:
        values |= {"run_id": None, "fired_at": None}
    values["inputs"] = mask(firing.inputs)
    return FiringOut(**values, run_status=run_status)


def present_next(trigger: Trigger, count: int) -> NextOut:
    """Return when a trigger fires next; one that goes by no clock has no such times."""
    zone = trigger.config.get("timezone", "UTC")
    times = []
    if trigger.type == "cron":
        times = CronRule(trigger.config["cron"], zone).upcoming(clock.now(), count)
    return NextOut(
        trigger_id=trigger.id,
        timezone=zone,
        enabled=trigger.enabled,
        times=times,
        local_times=[moment.astimezone(ZoneInfo(zone)).isoformat() for moment in times],
    )
