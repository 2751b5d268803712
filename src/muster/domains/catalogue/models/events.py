"""Facts about the models of a project."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCreated(Event):
    type: ClassVar[str] = "model.created"
    subject: ClassVar[str] = "model"
    model_id: str
    name: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUpdated(Event):
    type: ClassVar[str] = "model.updated"
    subject: ClassVar[str] = "model"
    model_id: str
    name: str
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelToggled(Event):
    type: ClassVar[str] = "model.toggled"
    subject: ClassVar[str] = "model"
    model_id: str
    name: str
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeleted(Event):
    type: ClassVar[str] = "model.deleted"
    subject: ClassVar[str] = "model"
    model_id: str
    name: str
