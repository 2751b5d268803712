"""Facts about policies."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCreated(Event):
    type: ClassVar[str] = "policy.created"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
    rule_type: str
    scope: str
    severity: str
    agent_id: str | None
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyUpdated(Event):
    type: ClassVar[str] = "policy.updated"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
    version: int
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEnabled(Event):
    type: ClassVar[str] = "policy.enabled"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDisabled(Event):
    type: ClassVar[str] = "policy.disabled"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDeleted(Event):
    type: ClassVar[str] = "policy.deleted"
    subject: ClassVar[str] = "policy"
    policy_id: str
    name: str
