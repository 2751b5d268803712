"""What budgets need to know of the journal, which lies in a band above them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Whose spending is asked for, and since when.

    `key_id` means the runs that were started with an API key, `run_id` one run; both with the runs
    of the agents that those asked.
    """

    project_id: str
    since: datetime | None = None
    agent_id: str | None = None
    key_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """US dollars, and the calls whose price nobody knows."""

    dollars: float
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A model call that is in the journal; `cost` in US dollars, None where unknown."""

    run_id: str
    key: str
    ended_at: datetime
    cost: float | None


class Journal(Protocol):
    """Answers from the journal of the runs."""

    async def spent(self, session: AsyncSession, spending: Spending) -> Spent:
        """Return what was spent."""
        ...

    async def calls(
        self, session: AsyncSession, run_ids: Collection[str], since: datetime
    ) -> Sequence[Ended]:
        """Return the model calls of runs that ended since a moment."""
        ...

    async def over(self, session: AsyncSession, run_ids: Collection[str]) -> set[str]:
        """Return which of the runs have ended or are gone."""
        ...
