"""How rules name things: by what nobody who uses them can change.

A project gives its models, tools and agents any names it likes, so that a rule about a name would
be passed by, or passed, with a change of the name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.catalogue.tools import BUILTINS, ToolCatalogue
from muster.domains.control.access_rules.vocabulary import EVERY


@dataclass(frozen=True, slots=True)
class Catalogues:
    """What knows the things that rules are about."""

    models: ModelCatalogue
    tools: ToolCatalogue

    async def ids_of(self, project_id: str, resource_type: str, reference: str) -> Collection[str]:
        """Return all by which rules can name what a reference means in a project."""
        if resource_type == "model":
            return await self.models.resource_ids(project_id, reference)
        if resource_type == "tool":
            definition = (await self.tools.find(project_id, reference)).definition
            return definition.resource_ids if definition else {reference}
        return {reference}


def misnamed(resource_type: str, resource_id: str) -> str | None:
    """Return why a rule cannot name a thing like this, or None."""
    if resource_id == EVERY or _is_id(resource_id):
        return None
    if resource_type == "model":
        provider, slash, model = resource_id.partition("/")
        if provider and slash and model:
            return None
        return "name a model as provider/model, by the id of a project's model, or as *"
    if resource_type == "tool":
        if resource_id in BUILTINS:
            return None
        return "name a tool by its id, a built-in one also by its name, or as *"
    return "name an agent by its id, or as *; names and keys can be changed"


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
