"""What a tool that ships with the product says about itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.ids import stable_id

ASKING_S = 3_600.0
"""An agent that is asked may itself call tools and wait for people."""

Perform = Callable[[dict[str, Any], ToolContext, ToolServices], Awaitable[ToolOutcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A tool that ships with the product: its face, and what it does."""

    name: str
    title: str
    description: str
    parameters: dict[str, Any]
    perform: Perform
    step_kind: str = "step.resource"
    verb: str | None = "GET"
    idempotent: bool = True
    needs: str | None = None
    """Name of the setting without which the tool cannot be used."""
    entrusted: bool = False
    """Another slice carries it out; a process without that does not offer the tool."""
    needed_s: float = 0.0
    """Time that a call may well take, if more than most."""

    @property
    def id(self) -> str:
        return stable_id("tool", self.name)

    def offered_by(self, services: ToolServices) -> bool:
        """Tell whether a process with these services can carry the tool out."""
        return not self.entrusted or self.name in services.acts()


def object_of(required: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a tool's input."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def text(description: str, **more: Any) -> dict[str, Any]:
    """Return the schema of a text."""
    return {"type": "string", "description": description, **more}


def count(description: str, default: int, maximum: int) -> dict[str, Any]:
    """Return the schema of a number of things."""
    return {
        "type": "integer",
        "description": description,
        "default": default,
        "minimum": 1,
        "maximum": maximum,
    }
