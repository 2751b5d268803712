"""How other slices start things: what they name, and what starts it."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from muster.platform.access import Caller

TargetKind = Literal["agent", "task", "crew", "workflow"]


_PARTS = ("nodes", "steps", "actions", "workflow", "workflow_definition", "definition")


def holds_workflow(value: Any) -> bool:
    """Tell whether a value is a workflow in some notation, as far as its fields say."""
    given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return any(given.get(part) for part in _PARTS)


@dataclass(frozen=True, slots=True)
class Target:
    """Something to start: stored, by id, key or name, or defined in place.

    A `definition` of a crew has `agents_yaml` and `tasks_yaml`; one of a workflow is the workflow
    in any of its notations.
    """

    kind: TargetKind
    reference: str = ""
    definition: dict[str, Any] | None = None


class Launcher(Protocol):
    """Starts runs, in units of work of its own."""

    async def launch(
        self,
        caller: Caller,
        target: Target,
        inputs: dict[str, Any],
        *,
        run_id: str,
        origin: str,
        name: str | None = None,
        model: str | None = None,
    ) -> str:
        """Start a run and return its id; a run with this id that exists already is left alone.

        Args:
            caller: For whom the run is.
            target: What is run.
            inputs: Values of the placeholders.
            run_id: The id that the run will have.
            origin: How it came about.
            name: Its name; one is made up when absent.
            model: A model to use in place of that of the agent.
        """
        ...
