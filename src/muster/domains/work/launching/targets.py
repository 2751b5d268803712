"""What can be started."""

from dataclasses import dataclass
from typing import Any, Literal

TargetKind = Literal["agent", "task", "crew", "workflow"]


@dataclass(frozen=True, slots=True)
class Target:
    """Something to start: stored, by id, key or name, or defined in place.

    A `definition` of a crew has `agents_yaml` and `tasks_yaml`, one of a workflow is the workflow in
    any of its notations.
    """

    kind: TargetKind
    reference: str = ""
    definition: dict[str, Any] | None = None
