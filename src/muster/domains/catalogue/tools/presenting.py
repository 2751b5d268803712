"""From a definition to what the API shows."""

from typing import Any

from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.kinds import KINDS, ExpandingKind, Face
from muster.domains.catalogue.tools.naming import function_name
from muster.domains.catalogue.tools.schemas import ToolFunctionOut, ToolList, ToolOut, ToolStatus
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.errors import Invalid


def present(
    definition: Definition,
    services: ToolServices,
    project_id: str,
    *,
    issues: list[str] | None = None,
    brief: bool = False,
) -> ToolOut:
    """Return a tool as the API shows it.

    Args:
        definition: The tool.
        services: What tools need.
        project_id: The project in which it is looked at.
        issues: What it lacks; None: not looked at.
        brief: Leave out the schemas of functions.
    """
    faces = _faces(definition, services)
    single = faces[0] if faces and not isinstance(KINDS[definition.kind], ExpandingKind) else None
    idempotent = definition.idempotent
    if idempotent is None and single is not None:
        idempotent = single.idempotent
    status = None if issues is None else ToolStatus(is_ready=not issues, issues=issues)
    return ToolOut(
        id=definition.id,
        name=definition.name,
        title=definition.title,
        description=definition.description,
        icon=definition.icon,
        tool_type=definition.kind,
        kind=definition.kind,
        configuration=definition.configuration,
        config=definition.configuration,
        enabled=definition.enabled,
        requires_approval=definition.requires_approval,
        idempotent=idempotent,
        timeout_s=definition.timeout_s,
        input_schema=single.parameters if single else None,
        functions=_functions(definition, faces, brief=brief),
        source=definition.source,
        configuration_status=status,
        group_id=project_id,
        created_at=definition.created_at,
        updated_at=definition.updated_at,
    )


def fits(definition: Definition, params: ToolList) -> bool:
    """Tell whether a tool passes the filters of a list."""
    if params.enabled is not None and definition.enabled != params.enabled:
        return False
    if any(kind and kind != definition.kind for kind in (params.kind, params.tool_type)):
        return False
    text = (params.search or "").lower()
    shown = (definition.name, definition.title, definition.description)
    return any(text in part.lower() for part in shown)


def _faces(definition: Definition, services: ToolServices) -> list[Face]:
    try:
        return KINDS[definition.kind].faces(definition, services)
    except Invalid:
        return []


def _functions(
    definition: Definition, faces: list[Face], *, brief: bool
) -> list[ToolFunctionOut] | None:
    if definition.functions is None:
        return None
    offered = {face.function for face in faces}
    return [
        _function(definition.name, stored, offered, brief=brief) for stored in definition.functions
    ]


def _function(
    tool: str, stored: dict[str, Any], offered: set[str | None], *, brief: bool
) -> ToolFunctionOut:
    return ToolFunctionOut(
        name=stored["name"],
        called_as=function_name(tool, stored["name"]),
        description=stored.get("description") or "",
        offered=stored["name"] in offered,
        input_schema=None if brief else stored["input_schema"],
    )
