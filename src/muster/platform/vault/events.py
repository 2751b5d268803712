"""Facts about secrets. None of them carries a value."""

from typing import ClassVar

from muster.platform.events import Event


class SecretCreated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "secret.created"
    subject: ClassVar[str] = "secret"
    secret_id: str
    name: str
    service: str | None


class SecretUpdated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "secret.updated"
    subject: ClassVar[str] = "secret"
    secret_id: str
    name: str
    changed: list[str]


class SecretDeleted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "secret.deleted"
    subject: ClassVar[str] = "secret"
    secret_id: str
    name: str
