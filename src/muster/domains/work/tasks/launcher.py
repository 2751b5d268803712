"""What starts a run of a task: implemented outside of this slice."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from muster.platform.access import Caller


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be run."""

    kind: Literal["agent", "task", "crew", "workflow"]
    reference: str


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
