"""Request and response bodies of policy templates."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from muster.domains.control.policies.engine import Enforcement, Scope, Severity
from muster.domains.control.policies.schemas import AgentId, PolicyOut
from muster.kernel.schemas import In


class TemplatePolicy(BaseModel):
    """A policy of a template."""

    name: str
    reference: Annotated[str, Field(description="The article or item that it is about.")]
    description: str
    rule_type: str
    params: dict[str, Any]
    severity: Severity
    scope: Scope
    enforcement: Annotated[Enforcement, Field(description="What a violation does.")]
    risk_classification: str | None


class TemplateOut(BaseModel):
    """Policies that belong together."""

    id: str
    name: str
    description: str
    version: str
    policies: list[TemplatePolicy]


class TemplateApply(In):
    """For whom to apply a template."""

    agent_id: Annotated[AgentId, Field(examples=[None])] = None
    enabled: Annotated[bool, Field(description="Whether new policies hold at once.")] = True


class TemplateRemove(In):
    """For whom a template was applied."""

    agent_id: Annotated[AgentId, Field(examples=[None])] = None


class TemplateApplied(BaseModel):
    """What there is of a template now."""

    template_id: str
    agent_id: str | None
    created: Annotated[int, Field(description="Policies that were not there before.")]
    policies: list[PolicyOut]


class TemplateRemoved(BaseModel):
    """What was taken back."""

    template_id: str
    agent_id: str | None
    removed: int
