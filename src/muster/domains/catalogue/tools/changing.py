"""From the body of a request to the definition that it asks for."""

from dataclasses import replace
from typing import Any

from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.errors import ToolKindFixed
from muster.domains.catalogue.tools.naming import tool_name
from muster.domains.catalogue.tools.schemas import ToolCreate, ToolOut, ToolUpdate


def defined(body: ToolCreate) -> Definition:
    """Return the definition of a new tool."""
    return Definition(
        id="",
        name=tool_name(body.name),
        title=body.title or body.name,
        description=body.description,
        icon=body.icon,
        kind=body.tool_type,
        configuration=body.configuration,
        input_schema=body.input_schema,
        enabled=body.enabled,
        requires_approval=body.requires_approval,
        idempotent=body.idempotent,
        timeout_s=body.timeout_s,
    )


def changes_of(body: ToolUpdate, shown: ToolOut) -> dict[str, Any]:
    """Return the fields that a body changes.

    What was shown and is sent back as it was is no change: derived values stay derived.
    """
    given = body.model_dump()
    changes = {name: value for name, value in given.items() if value != getattr(shown, name)}
    if "tool_type" in changes:
        raise ToolKindFixed(
            f"{shown.name} is of kind {shown.kind} and stays that; delete it and create another."
        )
    if "name" in changes:
        name = tool_name(changes.pop("name"))
        if name != shown.name:
            changes["name"] = name
            changes.setdefault("title", given["name"])
    return changes


def changed(definition: Definition, changes: dict[str, Any]) -> Definition:
    """Return the definition with changes applied."""
    return replace(definition, **changes)
