"""Facts about access rules; they are in the platform's chain."""

from typing import ClassVar

from muster.platform.events import Event


class _RuleFact(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "access_rule"
    platform_wide: ClassVar[bool] = True
    access_rule_id: str
    scope_type: str
    scope_id: str
    resource_type: str
    resource_id: str
    effect: str
    action: str


class AccessRuleCreated(_RuleFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "access_rule.created"


class AccessRuleUpdated(_RuleFact, frozen=True, kw_only=True):
    """What the rule says now; what it said before is in the fact before."""

    type: ClassVar[str] = "access_rule.updated"


class AccessRuleDeleted(_RuleFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "access_rule.deleted"
