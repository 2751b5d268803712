"""Facts about prompt templates."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplateEvent(Event):
    """Shared fields of the events about prompt templates."""

    subject: ClassVar[str] = "template"
    template_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplateCreated(PromptTemplateEvent):
    type: ClassVar[str] = "template.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplateUpdated(PromptTemplateEvent):
    type: ClassVar[str] = "template.updated"
    version: int
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplateDeleted(PromptTemplateEvent):
    type: ClassVar[str] = "template.deleted"
