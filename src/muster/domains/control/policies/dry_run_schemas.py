"""Request and response bodies of dry runs."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, model_validator

from muster.domains.control.policies.engine import Action, Severity
from muster.domains.control.policies.evaluation_schemas import aware
from muster.kernel.schemas import In

Moment = Annotated[datetime, AfterValidator(aware)]


class DryRunRequest(In):
    """Which runs to judge again, and by what."""

    since: Annotated[
        Moment,
        Field(
            validation_alias=AliasChoices("since", "from"),
            description="Runs that were made at this moment or later; `from` is another name.",
            examples=["2026-05-01T00:00:00Z"],
        ),
    ]
    until: Annotated[
        Moment | None,
        Field(
            validation_alias=AliasChoices("until", "to"),
            description="Runs made before; now by default. `to` is another name.",
        ),
    ] = None
    agent_id: Annotated[str | None, Field(max_length=36, description="Only this agent's.")] = None
    policies: Annotated[
        list[dict[str, Any]] | None,
        Field(max_length=1000, description="Policies to try; the stored enabled ones by default."),
    ] = None
    limit: Annotated[
        int, Field(ge=1, le=200, description="At most so many runs, the newest ones.")
    ] = 50

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until is not None and self.since >= self.until:
            raise ValueError("since must be before until")
        return self


class DryRunStep(BaseModel):
    """A step that policies speak against."""

    execution_id: str
    agent_id: str
    seq: int
    step_name: str | None
    kind: str
    action: Annotated[Action, Field(description="What would have become of it.")]
    policy_id: str
    policy_name: str
    severity: Severity
    message: str


class DryRunReport(BaseModel):
    """What would have been."""

    runs: Annotated[int, Field(description="Runs that were judged.")]
    steps: Annotated[int, Field(description="Steps that were judged.")]
    has_more: Annotated[bool, Field(description="Whether the period has more runs than that.")]
    skipped: Annotated[
        list[str],
        Field(description="Policies that count over all tasks: stored runs cannot tell."),
    ]
    blocked: Annotated[int, Field(description="Steps that would have been blocked.")]
    findings: Annotated[
        list[DryRunStep], Field(description="The first 1,000 violations, run by run.")
    ]
