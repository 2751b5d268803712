"""What policies remember of runs, kept up to date from the journal and never beside it."""

import asyncio
import copy
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.policies.engine import (
    NormalStep,
    PolicySet,
    RateQuery,
    TaskMemory,
)

MAX_RUNS = 1_000
"""How many runs are remembered at once; the journal tells the others again."""


class RecordedStep(NamedTuple):
    """A step of the journal: its number, its place in the run, what it was, and when it ended."""

    seq: int
    key: str
    step: NormalStep
    at: datetime | None = None

    @property
    def is_failed_end(self) -> bool:
        """Tell whether a run of the platform came to a bad end by this step."""
        return self.step.kind == "task.error" and self.key.partition("~")[0] == "end"


class RecordedRun(NamedTuple):
    """A run of the journal, with the definition of its agent that it was ruled by."""

    id: str
    agent_id: str
    spec: Mapping[str, Any]


class History(Protocol):
    """Reads the journal for policies."""

    async def steps(
        self, run_id: str, *, after: int, session: AsyncSession | None = None
    ) -> Sequence[RecordedStep]:
        """Return the steps of a run with a number above `after`, in order.

        Who holds a session reads by it, so that nobody waits for a second connection.
        """
        ...

    async def run_of(self, project_id: str, agent_id: str, task_id: str) -> str | None:
        """Return the run of an agent's task, by the agent's own id of it or by that of the run."""
        ...

    async def runs(
        self,
        project_id: str,
        *,
        since: datetime,
        until: datetime,
        agent_id: str | None,
        limit: int,
    ) -> Sequence[RecordedRun]:
        """Return runs of agents that were made in a period, newest first."""
        ...

    async def counts(
        self,
        agent_id: str,
        queries: Sequence[RateQuery],
        *,
        session: AsyncSession | None = None,
    ) -> dict[str, int]:
        """Return how many steps an agent has recorded that each query asks for, by its key."""
        ...


@dataclass(slots=True)
class Past:
    """What is known of one run: its memory up to the step `seq`, and the steps under way.

    A step under way was allowed and is not in the journal yet. `memory` is without those.
    """

    policies: PolicySet
    memory: TaskMemory
    seq: int = 0
    under_way: dict[str, NormalStep] = field(default_factory=dict[str, NormalStep])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def advance(self, after: int, memory: TaskMemory, seq: int) -> None:
        """Take in that the journal has got the steps behind `after` up to `seq`.

        While somebody reads the journal nothing is taken in: they would take it in twice.
        """
        if self.seq == after and not self.lock.locked():
            self.memory, self.seq = memory, seq

    def record(self, steps: Iterable[RecordedStep]) -> None:
        """Take in what the journal has got."""
        for recorded in steps:
            self.memory.record(recorded.step)
            self.seq = recorded.seq
            self.under_way.pop(recorded.key.partition("~")[0], None)


class Memories:
    """The pasts of the runs that were judged last. One per process."""

    def __init__(self, history: History, *, max_runs: int = MAX_RUNS) -> None:
        self.history = history
        self._max_runs = max_runs
        self._pasts: OrderedDict[str, Past] = OrderedDict()

    def past(self, run_id: str, policies: PolicySet) -> Past:
        """Return the past of a run as it is remembered, to look at without waiting for others."""
        past = self._pasts.get(run_id)
        if past is None or past.policies is not policies:
            # Kept for other policies: it is told anew, but what is under way still is.
            under_way = past.under_way if past else {}
            past = Past(policies, policies.memory(), under_way=under_way)
            self._pasts[run_id] = past
        self._pasts.move_to_end(run_id)
        while len(self._pasts) > self._max_runs:
            self._pasts.popitem(last=False)
        return past

    @asynccontextmanager
    async def up_to_date(self, run_id: str, policies: PolicySet) -> AsyncGenerator[Past]:
        """Yield the past of a run with all that the journal has; nobody else has it meanwhile."""
        past = self.past(run_id, policies)
        async with past.lock:
            past.record(await self.history.steps(run_id, after=past.seq))
            yield past

    def done(self, run_id: str, key: str) -> None:
        """Take note that a step is not under way any more."""
        past = self._pasts.get(run_id)
        if past is not None:
            past.under_way.pop(key, None)


def as_if(memory: TaskMemory, steps: Iterable[NormalStep]) -> TaskMemory:
    """Return a memory in which these steps have happened too; `memory` stays as it is."""
    other = copy.copy(memory)
    other.slots = memory.slots.copy()
    other.longest_runs = memory.longest_runs.copy()
    return other.replay(steps)
