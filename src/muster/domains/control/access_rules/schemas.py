"""Request and response bodies of access rules."""

from typing import Annotated, Literal, Self

from pydantic import MISSING, Field

from muster.domains.control.access_rules.deciding import Rule
from muster.domains.control.access_rules.models import AccessRule
from muster.domains.control.access_rules.vocabulary import (
    ACTIONS,
    EFFECTS,
    RESOURCE_TYPES,
    ROLES,
    SCOPE_TYPES,
    ActionName,
    Effect,
    ResourceType,
    ScopeType,
)
from muster.kernel.paging import ListParams, Page
from muster.kernel.schemas import In, Out, RecordOut

LONGEST_ID = 255
_WORD = 40

Reason = Literal["no_rule", "allowed", "denied", "not_allowed"]

# Words are checked by the service: the family answers those it does not know with a 400.
ScopeTypeIn = Annotated[
    str,
    Field(
        max_length=_WORD,
        description=f"Whom the rule is about: {', '.join(SCOPE_TYPES)}. A group is a project.",
        examples=["role"],
    ),
]
ScopeIdIn = Annotated[
    str,
    Field(
        max_length=LONGEST_ID,
        description=f"Id of the user or project, or one of the roles {', '.join(ROLES)}.",
        examples=["operator"],
    ),
]
ResourceTypeIn = Annotated[
    str,
    Field(
        max_length=_WORD,
        description=f"What the rule is about: {', '.join(RESOURCE_TYPES)}.",
        examples=["model"],
    ),
]
ResourceIdIn = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_ID,
        description="Id of the agent, tool or model of a project, `provider/model` for models, the "
        "name for built-in tools, or `*` for all of the type.",
        examples=["openai/gpt-4o"],
    ),
]
EffectIn = Annotated[
    str,
    Field(
        max_length=_WORD,
        description=f"{' or '.join(EFFECTS)}. A rule that denies wins.",
        examples=["deny"],
    ),
]
ActionIn = Annotated[
    str,
    Field(
        max_length=_WORD,
        description=f"{' or '.join(ACTIONS)}: to run an agent, to call a tool or a model.",
        examples=["use"],
    ),
]


class RuleBody(In):
    """What the rule is about beside whom and which thing."""

    action: ActionIn = "use"


class AccessRuleCreate(In):
    """Who may use a thing, or may not."""

    scope_type: ScopeTypeIn
    scope_id: ScopeIdIn
    resource_type: ResourceTypeIn
    resource_id: ResourceIdIn
    effect: EffectIn
    rule: RuleBody = RuleBody()


class AccessRulePatch(In):
    """Changes of a rule; what is absent stays."""

    scope_type: ScopeTypeIn | MISSING = MISSING
    scope_id: ScopeIdIn | MISSING = MISSING
    resource_type: ResourceTypeIn | MISSING = MISSING
    resource_id: ResourceIdIn | MISSING = MISSING
    effect: EffectIn | MISSING = MISSING
    rule: RuleBody | MISSING = MISSING


class AccessRuleList(ListParams):
    """Filters of the list of access rules."""

    scope_type: Annotated[ScopeType | None, Field(description="Only about this kind.")] = None
    scope_id: Annotated[
        str | None, Field(max_length=LONGEST_ID, description="Only about this one.")
    ] = None
    resource_type: Annotated[
        ResourceType | None, Field(description="Only about things of this type.")
    ] = None
    resource_id: Annotated[
        str | None, Field(max_length=LONGEST_ID, description="Only about exactly this thing.")
    ] = None
    effect: Annotated[Effect | None, Field(description="Only with this effect.")] = None
    action: Annotated[ActionName | None, Field(description="Only about this action.")] = None


class RuleBodyOut(Out):
    """What the rule is about beside whom and which thing."""

    action: ActionName


class AccessRuleOut(RecordOut):
    """An access rule."""

    scope_type: ScopeType
    scope_id: str
    resource_type: ResourceType
    resource_id: str
    effect: Effect
    rule: RuleBodyOut
    created_by_id: Annotated[str, Field(description="The superadmin who made it.")]

    @classmethod
    def of(cls, row: AccessRule) -> Self:
        """Return a stored rule as it is shown."""
        values = {name: getattr(row, name) for name in cls.model_fields if name != "rule"}
        return cls(**values, rule=RuleBodyOut(action=row.action))  # pyright: ignore[reportArgumentType]


class AccessRuleEnvelope(Out):
    """One access rule."""

    rule: AccessRuleOut


class AccessRulePage(Page[AccessRuleOut]):
    """One page of access rules; `rules` is the same as `items`."""

    rules: list[AccessRuleOut]


class AccessQuestion(In):
    """A user who would use a thing in a project."""

    user_id: Annotated[str, Field(max_length=LONGEST_ID, description="The user.")]
    project_id: Annotated[str, Field(max_length=LONGEST_ID, description="Where it would be used.")]
    resource_type: ResourceTypeIn
    resource_id: ResourceIdIn
    action: ActionIn = "use"


class RulingOut(Out):
    """A rule that decided."""

    id: str
    scope_type: ScopeType
    scope_id: str
    resource_type: ResourceType
    resource_id: str
    effect: Effect
    rule: RuleBodyOut

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """Return a rule as it is shown where it decided."""
        return cls(
            id=rule.id,
            scope_type=rule.scope_type,  # pyright: ignore[reportArgumentType]
            scope_id=rule.scope_id,
            resource_type=rule.resource_type,  # pyright: ignore[reportArgumentType]
            resource_id=rule.resource_id,
            effect="deny" if rule.denies else "allow",
            rule=RuleBodyOut(action=rule.action),  # pyright: ignore[reportArgumentType]
        )


class AccessAnswer(Out):
    """Whether rules let the user use the thing, and which of them decided."""

    allowed: bool
    rules: Annotated[
        list[RulingOut],
        Field(description="Those that decided; empty where no rule is about the thing."),
    ]
    reason: Annotated[
        Reason,
        Field(
            description="`no_rule`: nothing is said about the thing. `allowed`: a rule allows it. "
            "`denied`: a rule denies it. `not_allowed`: rules allow it to others only."
        ),
    ]
