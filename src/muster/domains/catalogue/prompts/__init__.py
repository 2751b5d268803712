"""Prompt templates: texts with placeholders that a project keeps, versions and fills."""

from muster.domains.catalogue.prompts.errors import PromptTemplateNotFound
from muster.domains.catalogue.prompts.models import PromptTemplate
from muster.domains.catalogue.prompts.schemas import PromptTemplateCreate
from muster.domains.catalogue.prompts.service import PromptTemplateService

__all__ = [
    "PromptTemplate",
    "PromptTemplateCreate",
    "PromptTemplateNotFound",
    "PromptTemplateService",
]
