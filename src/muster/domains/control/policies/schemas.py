"""Request and response bodies of policies."""

from typing import Annotated, Any

from pydantic import MISSING, AliasChoices, BaseModel, Field

from muster.domains.control.policies.engine import Schema, Scope, Severity
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Ask before paying"])]
Description = Annotated[str | None, Field(max_length=10_000)]
RuleType = Annotated[
    str, Field(max_length=64, description="A rule of the catalogue.", examples=["field_not_empty"])
]
Params = Annotated[
    dict[str, Any],
    Field(
        description="Parameters of the rule; the catalogue says which.",
        examples=[{"field": "purpose"}],
    ),
]
SeverityIn = Annotated[
    str, Field(max_length=16, description="low, medium, high or critical.", examples=["high"])
]
ScopeIn = Annotated[
    str | None,
    Field(
        max_length=32,
        description="When it is judged: agent_registration, step_execution or task_execution. "
        "`enforcement_point` is another name.",
        examples=["agent_registration"],
    ),
]
Enforcement = Annotated[
    str | None,
    Field(
        max_length=24,
        description="What a violation does: warn, require_approval or block. Null: critical ones "
        "block, others warn.",
    ),
]
AgentId = Annotated[str | None, Field(max_length=36, description="Null: every agent.")]
Environments = Annotated[
    list[str] | str | None,
    Field(description="Only agents of these environments; null: every one."),
]
RiskClass = Annotated[
    str | None,
    Field(
        max_length=16,
        description="Only agents of this class; in schema 3 those of higher ones too.",
    ),
]
Generation = Annotated[
    str | int,
    Field(description='Whose meaning the rule has: "2" or "3". Both spellings are understood.'),
]

_SCOPE = Field(validation_alias=AliasChoices("scope", "enforcement_point"))
_ENVIRONMENTS = Field(validation_alias=AliasChoices("environments", "environment"))
_SCHEMA = Field(alias="schema")


class PolicyCreate(In):
    """A policy. It is read strictly: what the rule does not know is refused."""

    name: Name
    description: Description = None
    rule_type: RuleType
    params: Annotated[Params, Field(default_factory=dict)]
    severity: SeverityIn
    scope: Annotated[ScopeIn, _SCOPE] = None
    enabled: bool = True
    enforcement: Enforcement = None
    agent_id: AgentId = None
    environments: Annotated[Environments, _ENVIRONMENTS] = None
    risk_classification: RiskClass = None
    generation: Annotated[Generation, _SCHEMA] = "2"

    def raw(self) -> dict[str, Any]:
        """Return the policy as the engine reads it."""
        return _read(self.model_dump(by_alias=True, exclude_none=True))


class PolicyUpdate(In):
    """The fields to change; the others keep their values. `params` are replaced as a whole."""

    name: Name | MISSING = MISSING
    description: Description | MISSING = MISSING
    rule_type: RuleType | MISSING = MISSING
    params: Params | MISSING = MISSING
    severity: SeverityIn | MISSING = MISSING
    scope: Annotated[ScopeIn | MISSING, _SCOPE] = MISSING
    enabled: bool | MISSING = MISSING
    enforcement: Enforcement | MISSING = MISSING
    agent_id: AgentId | MISSING = MISSING
    environments: Annotated[Environments | MISSING, _ENVIRONMENTS] = MISSING
    risk_classification: RiskClass | MISSING = MISSING
    generation: Annotated[Generation | MISSING, _SCHEMA] = MISSING

    def raw(self) -> dict[str, Any]:
        """Return the given fields as the engine reads them."""
        return _read(self.model_dump(by_alias=True))


def _read(values: dict[str, Any]) -> dict[str, Any]:
    """Return fields as the engine reads them: it takes environments only as a list."""
    if isinstance(one := values.get("environments"), str):
        values["environments"] = [one]
    return values


class PolicyOut(RecordOut):
    """A policy; `params` are spelled as its generation does."""

    name: str
    description: str
    rule_type: str
    params: dict[str, Any]
    severity: Severity
    scope: Scope
    enforcement_point: Annotated[Scope, Field(description="The same as `scope`.")]
    enabled: bool
    enforcement: str | None
    generation: Annotated[Schema, Field(alias="schema")]
    agent_id: str | None
    environments: list[str] | None
    risk_classification: str | None
    source_template: Annotated[str | None, Field(description="The template that it was made from.")]
    manifest_name: str | None
    manifest_version: str | None
    version: int


class PolicyList(ListParams):
    """Filters of the list of policies."""

    limit: Annotated[int, Field(ge=1, le=1000, description="Items per page.")] = 50
    skip: Annotated[
        int | None, Field(ge=0, le=2**31 - 1, description="Another name for `offset`.")
    ] = None
    agent_id: Annotated[
        str | None, Field(max_length=36, description="Only those of this agent alone.")
    ] = None
    agent_key: Annotated[
        str | None,
        Field(
            max_length=128,
            description="Those that bind the agent with this key: its own, and those for every "
            "agent of its environment and class.",
        ),
    ] = None
    instance: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Which process of the agent asks, as its clients say; all get the same.",
        ),
    ] = None
    scope: Annotated[
        Scope | None,
        Field(
            description="Only those judged then.",
            validation_alias=AliasChoices("scope", "enforcement_point"),
        ),
    ] = None
    enabled: Annotated[bool | None, Field(description="Only those that hold, or do not.")] = None
    severity: Annotated[Severity | None, Field(description="Only those of this severity.")] = None
    rule_type: Annotated[str | None, Field(max_length=64, description="Only this rule.")] = None
    search: Annotated[
        str | None, Field(max_length=200, description="Name or description contains.")
    ] = None

    @property
    def paged(self) -> ListParams:
        """Where the page lies, whichever name its beginning was given by."""
        return ListParams.model_construct(
            limit=self.limit, offset=self.offset if self.skip is None else self.skip
        )


class PolicyVersionOut(Out):
    """One state of a policy."""

    policy_id: str
    version: int
    policy: dict[str, Any]
    created_by_id: str
    created_by_name: str
    created_at: UtcTime


class RuleOut(BaseModel):
    """A rule that policies can name."""

    name: str
    rule_type: Annotated[str, Field(description="The same as `name`.")]
    description: str
    scopes: Annotated[list[Scope], Field(description="Where it can be judged.")]
    params_schema: Annotated[
        dict[str, Any], Field(description="The parameters, as a JSON Schema of an object.")
    ]
