"""Request and response bodies of incidents."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from muster.domains.control.incidents.moves import IncidentStatus
from muster.domains.control.incidents.violation import SEVERITIES, Action, Severity
from muster.kernel.paging import CursorParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _known(value: str | None, allowed: tuple[str, ...]) -> str | None:
    names = [name.strip().lower() for name in (value or "").split(",") if name.strip()]
    if not set(names) <= set(allowed):
        raise ValueError(f"Take of {', '.join(allowed)}, separated by commas")
    return ",".join(names) or None


def _known_statuses(value: str | None) -> str | None:
    return _known(value, tuple(IncidentStatus))


def _known_severities(value: str | None) -> str | None:
    return _known(value, SEVERITIES)


class IncidentFilter(BaseModel):
    """Filters of incidents; what is given must hold together."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    status: Annotated[
        Annotated[str, Field(max_length=100)] | None,
        AfterValidator(_known_statuses),
        Field(description="Only with this status, in any case; several are separated by commas."),
    ] = None
    severity: Annotated[
        Annotated[str, Field(max_length=100)] | None,
        AfterValidator(_known_severities),
        Field(description="Only of this severity, in any case; several are separated by commas."),
    ] = None
    agent_id: Annotated[str | None, Field(max_length=36, description="Only of this agent.")] = None
    agent_key: Annotated[
        str | None, Field(max_length=128, description="Only of agents with this key.")
    ] = None
    policy_id: Annotated[str | None, Field(max_length=36, description="Only of this policy.")] = (
        None
    )
    environment: Annotated[
        str | None, Field(max_length=32, description="Only of agents of this environment.")
    ] = None
    run_id: Annotated[
        str | None,
        Field(
            max_length=36,
            description="Only those that happened last in this run.",
            validation_alias=AliasChoices("run_id", "execution_id"),
        ),
    ] = None
    task_id: Annotated[
        str | None, Field(max_length=255, description="Only those that happened last in this task.")
    ] = None
    from_: Annotated[
        UtcTime | None, Field(alias="from", description="Happened last at or after.")
    ] = None
    to: Annotated[UtcTime | None, Field(description="Happened last before.")] = None
    search: Annotated[
        str | None,
        Field(max_length=255, description="Text in the title, the description or the step."),
    ] = None


class IncidentList(CursorParams, IncidentFilter):
    """Filters of the list of incidents."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


Why = Annotated[
    str | None,
    Field(
        max_length=4000,
        description="Why; kept with the change.",
        examples=["The prompt was corrected in version 4."],
        validation_alias=AliasChoices("reason", "note", "notes", "comment"),
    ),
]


class IncidentMove(In):
    """Why an incident is moved. `note` and `reason` are the same."""

    reason: Why = None


class ReportedViolation(In):
    """One policy that was broken."""

    policy_name: Annotated[str, Field(min_length=1, max_length=255, examples=["No raw e-mails"])]
    severity: Annotated[Severity, BeforeValidator(_lower)]
    rule_type: Annotated[str | None, Field(max_length=64, description="Rule of the policy.")] = None
    details: Annotated[
        dict[str, Any] | str | None,
        Field(description="What was found; shown to people, so no secrets."),
    ] = None


class IncidentReport(In):
    """What an agent that judges in its own process has found in one step, or, without the fields
    of a task, in its registration.
    """

    agent_id: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            description="Id of the agent, or its key.",
            examples=["0198a6f2-7c1e-7d35-9c55-0c9c5f0e8a11"],
        ),
    ]
    action: Annotated[
        Literal["warn", "block"],
        BeforeValidator(_lower),
        Field(description="What the agent did about it."),
    ]
    violations: Annotated[list[ReportedViolation], Field(min_length=1, max_length=100)]
    scope: Annotated[
        str | None,
        Field(
            max_length=64,
            description="Where it was judged.",
            examples=["step_execution"],
            validation_alias=AliasChoices("scope", "enforcement_point"),
        ),
    ] = None
    task_id: Annotated[str | None, Field(min_length=1, max_length=255)] = None
    action_id: Annotated[
        str | None, Field(max_length=255, description="The agent's own id of the step.")
    ] = None
    step_name: Annotated[str | None, Field(max_length=255)] = None
    step_kind: Annotated[
        str | None,
        Field(
            max_length=64,
            examples=["step.resource"],
            validation_alias=AliasChoices("step_type", "kind", "step_kind"),
        ),
    ] = None
    risk_score: Annotated[
        float | None, Field(ge=0, le=1, allow_inf_nan=False, description="From 0 to 1.")
    ] = None
    timestamp: Annotated[
        UtcTime | None,
        Field(description="When it happened by the agent's clock; kept with the details."),
    ] = None


class ReportedIncident(Out):
    """An incident as the agent that reported it sees it."""

    id: str
    policy_name: str
    severity: str
    status: str
    count: int


class IncidentReceipt(BaseModel):
    """The incident of each violation, in their order."""

    incidents: list[ReportedIncident]


class IncidentOut(RecordOut):
    """A policy that was broken. Step, action, severity and details are those of the last time."""

    status: IncidentStatus
    severity: Severity
    title: str
    description: str
    action: Annotated[
        Action, Field(description="What was done; `observed` where it had happened already.")
    ]
    policy_id: Annotated[
        str | None,
        Field(description="Null where an agent named a policy that is not the project's."),
    ]
    policy_name: str
    rule_type: str | None
    agent_id: str | None
    environment: str | None
    details: dict[str, Any]
    task_id: str | None
    run_id: str | None
    execution_id: Annotated[str | None, Field(validation_alias="run_id")]
    step_name: str | None
    step_kind: str | None
    step_seq: Annotated[int | None, Field(description="Number of the step in its run.")]
    count: Annotated[int, Field(description="How often it has happened.")]
    first_occurrence: UtcTime
    last_occurrence: UtcTime
    notes: Annotated[str | None, Field(description="How it was resolved.")]
    changed_by_id: str | None
    changed_by_name: str | None
    changed_at: UtcTime | None


class IncidentChangeOut(Out):
    """One change of an incident's status; the first is its opening."""

    at: UtcTime
    from_: Annotated[
        IncidentStatus | None, Field(validation_alias="from_status", serialization_alias="from")
    ]
    to: Annotated[IncidentStatus, Field(validation_alias="to_status")]
    by_id: str
    by_name: str
    reason: str | None


class IncidentDetail(IncidentOut):
    """An incident with the changes of its status, oldest first."""

    changes: list[IncidentChangeOut]


class IncidentSummary(BaseModel):
    """How many incidents there are of each status."""

    open: int = 0
    active: int = 0
    resolved: int = 0
    ignored: int = 0
    total: int = 0
