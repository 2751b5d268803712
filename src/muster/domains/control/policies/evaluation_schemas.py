"""Request and response bodies of evaluations."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field

from muster.domains.control.budgets import UsedUp
from muster.domains.control.policies.engine import Action, Scope, Severity
from muster.kernel.schemas import In, UtcTime

_FIRST_YEAR, _LAST_YEAR = 1970, 9998
Text = Annotated[str | None, Field(max_length=2000)]


def aware(moment: datetime | None) -> datetime | None:
    """Return a moment with its zone; one without is meant as UTC."""
    if moment is None:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # A moment at the edge of the calendar has no place in other zones.
    if not _FIRST_YEAR <= zoned.year <= _LAST_YEAR:
        raise ValueError(f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return zoned


class EvaluationContext(BaseModel):
    """What is known of the agent, its task and the moment.

    For a registered agent only `task_id` is read: everything else is what is stored.
    """

    model_config = ConfigDict(extra="ignore")

    agent_id: Annotated[str | None, Field(max_length=255)] = None
    task_id: Annotated[str | None, Field(max_length=255)] = None
    environment: Annotated[str | None, Field(max_length=16)] = None
    risk_classification: Annotated[str | None, Field(max_length=16)] = None
    agent_name: Text = None
    purpose: Annotated[Text, Field(validation_alias=AliasChoices("purpose", "agent_purpose"))] = (
        None
    )
    owner: Annotated[Text, Field(validation_alias=AliasChoices("owner", "agent_owner"))] = None
    declared_tools: Annotated[
        list[str] | None,
        Field(
            max_length=1000,
            validation_alias=AliasChoices("declared_tools", "agent_allowed_tools"),
        ),
    ] = None
    project_root: Text = None
    cross_execution_counts: Annotated[
        dict[str, int] | None, Field(description="Counts that rate limits ask for.")
    ] = None
    now: Annotated[
        datetime | None,
        AfterValidator(aware),
        Field(description="The moment to judge at; the present one by default."),
    ] = None
    metadata: dict[str, Any] = {}


class EvaluationRequest(In):
    """What is to be judged."""

    agent: Annotated[
        str | dict[str, Any] | None,
        Field(
            description="Id or key of a registered agent; with `policies`, an agent's profile.",
            examples=["invoice-reader"],
        ),
    ] = None
    context: Annotated[EvaluationContext, Field(examples=[{"task_id": "t-1"}])] = (
        EvaluationContext()
    )
    policies: Annotated[
        list[dict[str, Any]] | None,
        Field(max_length=1000, description="Policies to try, instead of the stored ones."),
    ] = None
    history: Annotated[
        list[dict[str, Any]] | None,
        Field(max_length=10_000, description="Steps that happened; only beside `policies`."),
    ] = None
    step: Annotated[
        dict[str, Any] | None,
        Field(
            validation_alias=AliasChoices("step", "intended"),
            description="The intended step, in any of the vocabularies.",
            examples=[{"kind": "step.resource", "verb": "POST", "step_name": "send_email"}],
        ),
    ] = None
    scope: Annotated[
        Scope,
        Field(
            validation_alias=AliasChoices("scope", "enforcement_point"),
            description="step_execution judges the step, agent_registration the agent's profile, "
            "task_execution the whole task.",
        ),
    ] = "step_execution"


class EvaluatedPolicy(BaseModel):
    """What one policy says."""

    policy_id: str
    name: str
    rule_type: str
    severity: Severity
    violated: bool
    violation_details: dict[str, Any] | None


class EvaluatedBudget(BaseModel):
    """A budget in which nothing is left for a call of a model."""

    budget_id: str
    name: str
    action: Annotated[Literal["warn", "block"], Field(description="What the budget does then.")]
    message: str
    limit: Annotated[float, Field(description="In US dollars.")]
    spent: Annotated[float, Field(description="In US dollars.")]
    resets_at: Annotated[UtcTime | None, Field(description="When it begins anew, if ever.")]

    @classmethod
    def of(cls, budget: UsedUp) -> "EvaluatedBudget":
        """Return a budget as it is shown."""
        return cls(
            budget_id=budget.budget_id,
            name=budget.name,
            action="block" if budget.blocks else "warn",
            message=budget.message,
            limit=budget.limit,
            spent=budget.spent,
            resets_at=budget.resets_at,
        )


class Evaluation(BaseModel):
    """What the policies that apply and the budgets say together."""

    action: Annotated[Action, Field(description="What would become of the step.")]
    risk_score: Annotated[
        float, Field(ge=0, le=1, description="0 to 1, by the gravest policy that is violated.")
    ]
    policies: Annotated[
        list[EvaluatedPolicy], Field(description="Every policy that applies, violated or not.")
    ]
    budgets: Annotated[
        list[EvaluatedBudget],
        Field(description="Budgets that are used up, where the step is a call of a model."),
    ] = []
