"""Facts about prompt templates."""

from typing import ClassVar

from muster.platform.events import Event


class PromptTemplateEvent(Event, frozen=True, kw_only=True):
    """Shared fields of the events about prompt templates."""

    subject: ClassVar[str] = "template"
    template_id: str
    name: str


class PromptTemplateCreated(PromptTemplateEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "template.created"


class PromptTemplateUpdated(PromptTemplateEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "template.updated"
    version: int
    changed: list[str]


class PromptTemplateDeleted(PromptTemplateEvent, frozen=True, kw_only=True):
    type: ClassVar[str] = "template.deleted"
