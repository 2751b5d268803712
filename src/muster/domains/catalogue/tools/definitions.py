"""A tool as it is defined, wherever it comes from: the product or a project."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from muster.domains.catalogue.tools.models import Tool, ToolOverride
from muster.domains.catalogue.tools.shipping import Builtin

BUILTIN = "builtin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Everything about a tool that does not depend on who calls it."""

    id: str
    name: str
    title: str
    description: str
    kind: str
    icon: str | None = None
    configuration: dict[str, Any] = field(default_factory=dict[str, Any])
    input_schema: dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    enabled: bool = True
    requires_approval: bool = False
    idempotent: bool | None = None
    timeout_s: float | None = None
    builtin: Builtin | None = None
    project_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def source(self) -> Literal["builtin", "project"]:
        return "builtin" if self.builtin else "project"

    @property
    def resource_ids(self) -> frozenset[str]:
        """All by which access rules can name it: not by a name that its project can change."""
        return frozenset({self.id, self.name} if self.builtin else {self.id})


def of_row(row: Tool) -> Definition:
    """Return the definition of a project's tool."""
    return Definition(
        id=row.id,
        name=row.name,
        title=row.title,
        description=row.description,
        kind=row.kind,
        icon=row.icon,
        configuration=row.configuration,
        input_schema=row.input_schema,
        functions=row.functions,
        enabled=row.enabled,
        requires_approval=row.requires_approval,
        idempotent=row.idempotent,
        timeout_s=row.timeout_s,
        project_id=row.project_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def of_builtin(builtin: Builtin, override: ToolOverride | None) -> Definition:
    """Return the definition of a tool of the product, with what the project set differently."""
    return Definition(
        id=builtin.id,
        name=builtin.name,
        title=builtin.title,
        description=builtin.description,
        kind=BUILTIN,
        enabled=override.enabled if override else True,
        requires_approval=override.requires_approval if override else False,
        timeout_s=override.timeout_s if override else None,
        builtin=builtin,
    )
