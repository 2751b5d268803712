"""Facts about policies."""

from typing import ClassVar

from muster.platform.events import Event


class PolicyCreated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "policy.created"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
    rule_type: str
    scope: str
    severity: str
    agent_id: str | None
    enabled: bool


class PolicyUpdated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "policy.updated"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
    version: int
    changed: list[str]


class PolicyEnabled(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "policy.enabled"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
    version: int


class PolicyDisabled(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "policy.disabled"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
    version: int


class PolicyDeleted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "policy.deleted"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
