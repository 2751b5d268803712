"""Facts about secrets. None of them carries a value."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretCreated(Event):
    type: ClassVar[str] = "secret.created"
    subject: ClassVar[str] = "secret"
    secret_id: str
    name: str
    service: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUpdated(Event):
    type: ClassVar[str] = "secret.updated"
    subject: ClassVar[str] = "secret"
    secret_id: str
    name: str
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretDeleted(Event):
    type: ClassVar[str] = "secret.deleted"
    subject: ClassVar[str] = "secret"
    secret_id: str
    name: str
