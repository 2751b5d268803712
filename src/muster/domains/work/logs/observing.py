"""What others do with logged steps: look at them, and count what they have cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import Place
from muster.domains.work.logs.tasks import LogAgent
from muster.domains.work.logs.translation import LoggedStep

Incidents = list[dict[str, Any]]


def _nobody(_: bool) -> None:
    """Is told what nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """That nothing is to be told of steps if they come to their `place`, without one anywhere.

    `settle` is told whether they came there.
    """

    place: Place | None = None
    settle: Callable[[bool], None] = _nobody


class Observer(Protocol):
    """Looks at steps that are logged, such as policies do. What it raises refuses them: it is to
    raise only what is a fault.
    """

    async def foresee(
        self, agent: LogAgent, run_id: str, task_id: str | None, steps: Sequence[LoggedStep]
    ) -> Foresight | None:
        """Look at steps before they are appended; None where `observe` has to look at them."""
        ...

    async def observe(
        self,
        agent: LogAgent,
        run_id: str,
        task_id: str | None,
        steps: Sequence[tuple[int, LoggedStep]],
        session: AsyncSession,
    ) -> Incidents:
        """Return what is to be told to the agent.

        Args:
            agent: Whose steps they are.
            run_id: The run that they belong to.
            task_id: By what the agent knows it, if it does.
            steps: The steps with their numbers in the journal, in order.
            session: The unit of work that holds the steps, in which everything must be written.
        """
        ...


class Costs(Protocol):
    """Counts what logged steps have cost."""

    async def charge(
        self,
        agent: LogAgent,
        run_id: str,
        steps: Sequence[LoggedStep],
        session: AsyncSession | None,
    ) -> None:
        """Count it once the steps are committed, which `session` does if there is one."""
        ...
