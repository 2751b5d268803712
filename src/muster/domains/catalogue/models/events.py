"""Facts about the models of a project."""

from typing import ClassVar

from muster.platform.events import Event


class ModelCreated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "model.created"
    subject: ClassVar[str] = "model"
    model_id: str
    name: str
    provider: str


class ModelUpdated(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "model.updated"
    subject: ClassVar[str] = "model"
    model_id: str
    name: str
    changed: list[str]


class ModelToggled(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "model.toggled"
    subject: ClassVar[str] = "model"
    model_id: str
    name: str
    enabled: bool


class ModelDeleted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "model.deleted"
    subject: ClassVar[str] = "model"
    model_id: str
    name: str
