"""What a trigger starts, and what it needs of whoever starts it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from muster.platform.access import Caller

TargetKind = Literal["agent", "task", "crew", "workflow"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is run: by reference, or as it is defined in place, with an empty reference."""

    kind: TargetKind
    reference: str
    definition: Mapping[str, Any] | None = None


class Launcher(Protocol):
    """Starts runs. The same `run_id` again starts nothing and returns it."""

    async def launch(
        self,
        caller: Caller,
        target: Target,
        inputs: dict[str, Any],
        *,
        run_id: str,
        origin: str,
        name: str | None = None,
    ) -> str:
        """Start a run in units of work of its own; raises `AppError` with what is missing."""
        ...
