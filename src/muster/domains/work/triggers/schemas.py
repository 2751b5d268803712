"""Request and response bodies of triggers."""

from typing import Annotated, Any, Literal

from pydantic import MISSING, AliasChoices, BaseModel, Field

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

TriggerType = Literal["cron", "webhook", "event"]
FiringStatus = Literal["pending", "queued", "started", "skipped", "failed"]
Source = Literal["cron", "webhook", "event", "manual"]
Overlap = Literal["allow", "skip", "queue"]
Misfire = Literal["fire_once", "skip"]
Verification = Literal["standard", "github", "token"]

Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Morning report"])]
Description = Annotated[str, Field(max_length=4000)]
Reference = Annotated[str, Field(min_length=1, max_length=255)]
Inputs = Annotated[
    dict[str, Any],
    Field(
        description="Inputs of what is started. Texts are templates: `{{ event.data.run_id }}`, "
        "`{{ payload.ticket }}`, `{{ trigger.name }}`, `{{ now }}`. Left away, a webhook hands "
        "over its `payload` and an event its `event`.",
        examples=[{"prompt": "Summarise the day {{ now }}"}],
    ),
]


class TriggerConfig(In):
    """When a trigger fires; which fields it takes depends on its type.

    `cron`: `cron`, `timezone`, `overlap`, `misfire`, `misfire_grace_s`. `webhook`: `secret`,
    `verification`. `event`: `events`, `filter`, `max_per_minute`.
    """

    cron: Annotated[
        str | MISSING,
        Field(
            description="Minute, hour, day, month, weekday; or six fields, seconds first.",
            validation_alias=AliasChoices("cron", "cron_expression", "schedule", "expression"),
            examples=["0 9 * * 1-5"],
        ),
    ] = MISSING
    timezone: Annotated[
        str | MISSING,
        Field(
            description="Zone of the IANA database in which the times are meant; UTC by default.",
            validation_alias=AliasChoices("timezone", "time_zone", "tz"),
            examples=["Europe/Berlin"],
        ),
    ] = MISSING
    overlap: Annotated[
        Overlap | MISSING,
        Field(
            description="What is done at a time when a run of the trigger is still under way: "
            "`allow` starts another, `skip` leaves it out, `queue` lets one wait. Default `allow`."
        ),
    ] = MISSING
    misfire: Annotated[
        Misfire | MISSING,
        Field(
            description="What becomes of times that went by while nothing could fire: `fire_once` "
            "fires once for all of them, `skip` for none. Default `fire_once`."
        ),
    ] = MISSING
    misfire_grace_s: Annotated[
        Annotated[int, Field(ge=1, le=86_400)] | MISSING,
        Field(description="Seconds by which a time may be late before it is missed. Default 60."),
    ] = MISSING
    secret: Annotated[
        str | MISSING,
        Field(description="What senders prove themselves by. Absent: one is made and shown once."),
    ] = MISSING
    verification: Annotated[
        Verification | MISSING,
        Field(
            description="`standard`: signed as Standard Webhooks says. `github`: signed by "
            "`X-Hub-Signature-256`. `token`: the secret itself in `X-Muster-Token`. Default "
            "`standard`."
        ),
    ] = MISSING
    events: Annotated[
        Annotated[list[Annotated[str, Field(max_length=80)]], Field(min_length=1, max_length=100)]
        | MISSING,
        Field(
            description="Types of events, exact or with `*`.",
            examples=[["run.failed", "incident.*"]],
            validation_alias=AliasChoices("events", "event_types"),
        ),
    ] = MISSING
    filter: Annotated[
        Annotated[str, Field(max_length=5000)] | MISSING,
        Field(
            description="Condition on `event`; where it has no value, it does not hold.",
            examples=["event.data.status == 'failed'"],
        ),
    ] = MISSING
    max_per_minute: Annotated[
        Annotated[int, Field(ge=1, le=100_000)] | MISSING | None,
        Field(description="Events beyond this are skipped. Null: no limit."),
    ] = MISSING

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        return {
            name: value
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not MISSING
        }


class TriggerAction(In):
    """What is started: one of `agent`, `task`, `crew` and `workflow`, by id, key or name.

    `{"type": "run_agent", "agent_id": "…"}` says the same as `{"agent": "…"}`.
    """

    type: Annotated[
        str | None,
        Field(max_length=40, description="agent, task, crew or workflow; `run_` may precede."),
    ] = None
    agent: Annotated[
        Reference | None,
        Field(validation_alias=AliasChoices("agent", "agent_id"), examples=["document-analyst"]),
    ] = None
    task: Annotated[Reference | None, Field(validation_alias=AliasChoices("task", "task_id"))] = (
        None
    )
    crew: Annotated[Reference | None, Field(validation_alias=AliasChoices("crew", "crew_id"))] = (
        None
    )
    workflow: Annotated[
        Reference | None,
        Field(validation_alias=AliasChoices("workflow", "workflow_id", "flow", "flow_id")),
    ] = None
    target: Annotated[
        Reference | None,
        Field(
            description="What is started, where `type` says what it is.",
            validation_alias=AliasChoices("target", "target_id", "id"),
        ),
    ] = None
    definition: Annotated[
        dict[str, Any] | None,
        Field(description="What is started, defined in place; `type` says what it is."),
    ] = None
    inputs: Annotated[
        Inputs | None, Field(validation_alias=AliasChoices("inputs", "input", "parameters"))
    ] = None
    prompt: Annotated[
        str | None, Field(max_length=50_000, description="The same as `inputs.prompt`.")
    ] = None


class TriggerCreate(In):
    """What starts something by itself."""

    name: Name
    description: Description = ""
    type: Annotated[TriggerType, Field(description="By what it fires.")]
    config: TriggerConfig = TriggerConfig()
    action: TriggerAction
    enabled: bool = True


class TriggerUpdate(In):
    """What is to change; what is left away stays. The type of a trigger cannot be changed."""

    name: Name | MISSING = MISSING
    description: Description | MISSING = MISSING
    type: Annotated[
        TriggerType | MISSING, Field(description="May be sent along; another one is refused.")
    ] = MISSING
    config: Annotated[
        TriggerConfig | MISSING, Field(description="Replaces the fields that are given.")
    ] = MISSING
    action: Annotated[TriggerAction | MISSING, Field(description="Replaces the action.")] = MISSING
    enabled: bool | MISSING = MISSING


class ToggleRequest(In):
    enabled: Annotated[
        bool | None,
        Field(
            description="Absent: it is turned.",
            examples=[False],
            validation_alias=AliasChoices("enabled", "is_active"),
        ),
    ] = None


class FireRequest(In):
    inputs: Annotated[
        dict[str, Any] | None,
        Field(description="In place of the trigger's own.", examples=[{"prompt": "Try it"}]),
    ] = None


class RetryFiringRequest(In):
    inputs: Annotated[
        dict[str, Any] | None,
        Field(
            description="In place of those that it was fired with.",
            examples=[{"prompt": "Try it again"}],
        ),
    ] = None


class TriggerList(ListParams):
    """Filters of the list of triggers."""

    type: Annotated[TriggerType | None, Field(description="Only of this type.")] = None
    enabled: Annotated[bool | None, Field(description="Only those that fire, or do not.")] = None
    search: Annotated[
        str | None, Field(max_length=255, description="Text in the name or the description.")
    ] = None


class FiringList(ListParams):
    """Filters of the history of a trigger."""

    status: Annotated[FiringStatus | None, Field(description="Only with this status.")] = None
    source: Annotated[Source | None, Field(description="Only fired by this.")] = None


class TriggerActionOut(Out):
    """What is started."""

    type: Annotated[str, Field(description="agent, task, crew or workflow.")]
    agent: str | None
    task: str | None
    crew: str | None
    workflow: str | None
    definition: dict[str, Any] | None
    inputs: Annotated[dict[str, Any] | None, Field(description="Secrets are masked.")]


class TriggerOut(RecordOut):
    """A trigger."""

    name: str
    description: str
    type: TriggerType
    enabled: bool
    config: dict[str, Any]
    action: TriggerActionOut
    next_run_at: Annotated[UtcTime | None, Field(description="Of `cron`, while it is enabled.")]
    last_run_at: UtcTime | None
    hook_url: Annotated[
        str | None, Field(description="Path that senders post to; of `webhook` only.")
    ]
    owner_id: Annotated[str, Field(description="For whom it starts things.")]
    owner_name: str
    group_id: str


class TriggerWithSecret(TriggerOut):
    """A trigger, and once the secret of its webhook."""

    secret: Annotated[
        str | None, Field(description="Give it to the sender: it is not shown again.")
    ] = None


class FiringOut(Out):
    """One time that a trigger fired, or was kept from it."""

    id: str
    trigger_id: str
    source: Source
    status: FiringStatus
    reason: Annotated[str | None, Field(description="Why it was skipped, failed or came late.")]
    due_at: UtcTime
    fired_at: UtcTime | None
    run_id: Annotated[str | None, Field(description="What was started; null until it is.")]
    run_status: str | None
    event_seq: int | None
    event_type: str | None
    inputs: Annotated[dict[str, Any], Field(description="Secrets are masked.")]
    attempts: int
    created_at: UtcTime


class NextParams(BaseModel):
    """How many times are shown."""

    count: Annotated[int, Field(ge=1, le=100, description="How many.")] = 5


class NextOut(Out):
    """The times at which a trigger will fire while it is enabled."""

    trigger_id: str
    timezone: str
    enabled: bool
    times: Annotated[list[UtcTime], Field(description="In UTC.")]
    local_times: Annotated[list[str], Field(description="In the trigger's time zone.")]


class HookReceipt(Out):
    """The call was taken; what it starts is started at once."""

    firing_id: str
    run_id: str
    status: FiringStatus
    duplicate: Annotated[bool, Field(description="A call with the same id was taken before.")]
