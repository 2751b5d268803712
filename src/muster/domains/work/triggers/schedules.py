"""Schedules: triggers of type `cron` in the notation of the crews family; no store of their own."""

from typing import Annotated, Any, Literal

from pydantic import MISSING, AliasChoices, Field

from muster.domains.work.plans import holds_workflow
from muster.domains.work.runs import mask
from muster.domains.work.triggers.configuring import refused
from muster.domains.work.triggers.models import Trigger
from muster.domains.work.triggers.schemas import (
    Misfire,
    Overlap,
    Reference,
    TriggerAction,
    TriggerConfig,
    TriggerCreate,
    TriggerUpdate,
)
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, RecordOut, UtcTime

ScheduleName = Annotated[str, Field(min_length=1, max_length=255, examples=["Daily reports"])]
Expression = Annotated[
    str,
    Field(
        description="Minute, hour, day, month, weekday; or six fields, seconds first.",
        examples=["0 9 * * *"],
    ),
]
Zone = Annotated[
    str, Field(description="Zone of the IANA database in which the times are meant; UTC at first.")
]
Crew = Annotated[Reference, Field(description="What is run: id or name of a crew.")]
Flow = Annotated[
    Reference,
    Field(
        description="What is run: id or name of a workflow.",
    ),
]
Yaml = Annotated[
    dict[str, Any] | list[Any] | Annotated[str, Field(max_length=500_000)],
    Field(description="YAML or JSON text, or objects."),
]
Edges = Annotated[
    list[dict[str, Any]],
    Field(
        description="Kept and given back for pictures; what follows what is said by the nodes, in "
        "`next` or `depends_on`."
    ),
]
FlowConfig = Annotated[
    dict[str, Any],
    Field(
        description="What is run: a workflow in any notation, as `POST /executions` takes it. One "
        "that holds none is kept and given back."
    ),
]
Planning = Annotated[bool, Field(description="Kept and given back; runs do not need it.")]
_CRON = AliasChoices("cron_expression", "cron")
_CREW = AliasChoices("crew_id", "crew")
_FLOW = AliasChoices("flow_id", "workflow_id")
_PLACES = (
    *("agents_yaml", "tasks_yaml", "nodes", "edges", "flow_config", "model", "planning"),
    *("process",),
)


class ScheduleCreate(In):
    """When a crew or a workflow is run; either is named, or defined in place."""

    name: ScheduleName
    description: Annotated[str, Field(max_length=4000)] = ""
    cron_expression: Annotated[Expression, Field(validation_alias=_CRON)]
    timezone: Zone = "UTC"
    overlap: Annotated[
        Overlap | None, Field(description="What is done while the run before goes on.")
    ] = None
    misfire: Annotated[
        Misfire | None, Field(description="What becomes of times that nothing could fire at.")
    ] = None
    crew_id: Annotated[Crew | None, Field(validation_alias=_CREW)] = None
    flow_id: Annotated[Flow | None, Field(validation_alias=_FLOW)] = None
    agent_id: Annotated[
        Reference | None, Field(description="What is run: id, key or name of an agent.")
    ] = None
    execution_type: Annotated[
        Literal["crew", "flow", "workflow", "agent"] | None, Field(description="What is run.")
    ] = None
    agents_yaml: Yaml | None = None
    tasks_yaml: Yaml | None = None
    nodes: list[dict[str, Any]] | None = None
    edges: Edges | None = None
    flow_config: FlowConfig | None = None
    process: Annotated[str | None, Field(max_length=40)] = None
    model: Annotated[str | None, Field(max_length=255)] = None
    planning: Planning | None = None
    inputs: Annotated[
        dict[str, Any] | None, Field(description="Handed to each run; texts may be templates.")
    ] = None
    enabled: Annotated[bool | None, Field(description="Absent: it is.")] = None
    is_active: Annotated[bool | None, Field(description="The same as `enabled`.")] = None


class ScheduleUpdate(In):
    """What is to change; what is left away stays."""

    name: ScheduleName | MISSING = MISSING
    description: Annotated[str, Field(max_length=4000)] | MISSING = MISSING
    cron_expression: Annotated[Expression | MISSING, Field(validation_alias=_CRON)] = MISSING
    timezone: Zone | MISSING = MISSING
    overlap: Overlap | MISSING = MISSING
    misfire: Misfire | MISSING = MISSING
    crew_id: Annotated[Crew | MISSING | None, Field(validation_alias=_CREW)] = MISSING
    flow_id: Annotated[Flow | MISSING | None, Field(validation_alias=_FLOW)] = MISSING
    agent_id: Reference | MISSING | None = MISSING
    execution_type: Literal["crew", "flow", "workflow", "agent"] | MISSING | None = MISSING
    agents_yaml: Yaml | MISSING | None = MISSING
    tasks_yaml: Yaml | MISSING | None = MISSING
    nodes: list[dict[str, Any]] | MISSING | None = MISSING
    edges: Edges | MISSING | None = MISSING
    flow_config: FlowConfig | MISSING | None = MISSING
    process: Annotated[str, Field(max_length=40)] | MISSING | None = MISSING
    model: Annotated[str, Field(max_length=255)] | MISSING | None = MISSING
    planning: Planning | MISSING | None = MISSING
    inputs: dict[str, Any] | MISSING | None = MISSING
    enabled: bool | MISSING = MISSING
    is_active: bool | MISSING = MISSING


class ScheduleList(ListParams):
    """Filters of the list of schedules."""

    crew_id: Annotated[str | None, Field(max_length=255, description="Only of this crew.")] = None
    enabled: Annotated[bool | None, Field(description="Only those that run, or do not.")] = None
    search: Annotated[
        str | None, Field(max_length=255, description="Text in the name or the description.")
    ] = None


class ScheduleOut(RecordOut):
    """A schedule."""

    name: str
    description: str
    cron_expression: str
    timezone: str
    overlap: Overlap
    misfire: Misfire
    execution_type: str
    crew_id: str | None
    flow_id: str | None
    agent_id: str | None
    agents_yaml: Any
    tasks_yaml: Any
    nodes: Any
    edges: Any
    flow_config: Any
    model: str | None
    planning: bool | None
    inputs: Annotated[dict[str, Any], Field(description="Secrets are masked.")]
    enabled: bool
    is_active: bool
    next_run_at: Annotated[UtcTime | None, Field(description="Null while it is disabled.")]
    last_run_at: UtcTime | None
    group_id: str


def create_of(body: ScheduleCreate) -> TriggerCreate:
    """Return a schedule as the trigger that it is."""
    config = {
        "cron": body.cron_expression,
        "timezone": body.timezone,
        "overlap": body.overlap,
        "misfire": body.misfire,
    }
    return TriggerCreate(
        name=body.name,
        description=body.description,
        type="cron",
        config=TriggerConfig(**{n: v for n, v in config.items() if v is not None}),  # pyright: ignore[reportArgumentType]
        action=_action({name: getattr(body, name) for name in _ACTION}),
        enabled=next((one for one in (body.enabled, body.is_active) if one is not None), True),
    )


def update_of(body: ScheduleUpdate, before: Trigger) -> TriggerUpdate:
    """Return what changes of a schedule mean for the trigger that it is."""
    given = {n: v for n in ScheduleUpdate.model_fields if (v := getattr(body, n)) is not MISSING}
    config = {n: given[n] for n in ("timezone", "overlap", "misfire") if n in given}
    if "cron_expression" in given:
        config["cron"] = given["cron_expression"]
    changes: dict[str, Any] = {
        n: given[n] for n in ("name", "description", "enabled") if n in given
    }
    if "is_active" in given:
        changes.setdefault("enabled", given["is_active"])
    if config:
        changes["config"] = TriggerConfig(**config)
    if any(name in given for name in _ACTION):
        changes["action"] = _action({**_said(before, given), **given})
    return TriggerUpdate(**changes)


_ACTION = ("crew_id", "flow_id", "agent_id", "execution_type", "inputs", *_PLACES)


def _said(before: Trigger, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a schedule says now, as far as another target does not replace it."""
    said: dict[str, Any] = {"inputs": before.inputs}
    targets = ("crew_id", "flow_id", "agent_id", "agents_yaml", "tasks_yaml", *_OF_FLOWS)
    if any(given.get(name) is not None for name in ("crew_id", "flow_id", "agent_id")):
        return said
    if before.definition is not None:
        said |= {**before.definition, "execution_type": before.target_kind}
    elif not any(given.get(name) is not None for name in targets):
        said[_FIELD[before.target_kind]] = before.target
    return said


_OF_FLOWS = ("nodes", "edges", "flow_config")
_FIELD = {"crew": "crew_id", "workflow": "flow_id", "agent": "agent_id", "task": "task_id"}


def _action(said: dict[str, Any]) -> TriggerAction:
    places = {name: said[name] for name in _PLACES if said.get(name) is not None}
    kind = {"flow": "workflow"}.get(said.get("execution_type") or "", said.get("execution_type"))
    named = {
        "crew": said.get("crew_id"),
        "workflow": said.get("flow_id"),
        "agent": said.get("agent_id"),
        "task": said.get("task_id"),
    }
    named = {name: value for name, value in named.items() if value is not None}
    if named:
        return TriggerAction(type=kind, **named, inputs=said.get("inputs"))
    if {"agents_yaml", "tasks_yaml"} <= places.keys():
        kind = "crew"
    elif "nodes" in places or holds_workflow(places.get("flow_config")):
        kind = "workflow"
    else:
        raise refused(
            "crew_id",
            "Say what is run: crew_id, flow_id, agent_id, agents_yaml with tasks_yaml, nodes, or a "
            "workflow in flow_config",
        )
    return TriggerAction(type=kind, definition=places, inputs=said.get("inputs"))


def present_schedule(trigger: Trigger) -> ScheduleOut:
    """Return a trigger as the schedule that it is."""
    kind, place = trigger.target_kind, trigger.definition or {}
    return ScheduleOut(
        id=trigger.id,
        name=trigger.name,
        description=trigger.description,
        cron_expression=trigger.config["cron"],
        timezone=trigger.config["timezone"],
        overlap=trigger.config["overlap"],
        misfire=trigger.config["misfire"],
        execution_type="flow" if kind == "workflow" else kind,
        crew_id=trigger.target or None if kind == "crew" else None,
        flow_id=trigger.target or None if kind == "workflow" else None,
        agent_id=trigger.target or None if kind == "agent" else None,
        agents_yaml=place.get("agents_yaml"),
        tasks_yaml=place.get("tasks_yaml"),
        nodes=place.get("nodes"),
        edges=place.get("edges"),
        flow_config=place.get("flow_config"),
        model=place.get("model"),
        planning=place.get("planning"),
        inputs=mask(trigger.inputs or {}),
        enabled=trigger.enabled,
        is_active=trigger.enabled,
        next_run_at=trigger.next_at,
        last_run_at=trigger.last_at,
        group_id=trigger.project_id,
        created_at=trigger.created_at,
        updated_at=trigger.updated_at,
    )
