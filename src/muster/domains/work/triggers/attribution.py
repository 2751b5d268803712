"""Which triggers an event comes from: those whose runs it tells of, by however many ways round."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import Run
from muster.domains.work.triggers.models import Firing
from muster.platform.events import EventRecord

_FARTHEST = 50
# The agent rests a moment after its run has ended, in the same commit.
_AROUND = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Fired:
    trigger_id: str
    depth: int


@dataclass(slots=True)
class Origins:
    """Of some events, by what runs and triggers they came about."""

    _runs: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _before: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _fired: dict[str, _Fired] = field(default_factory=dict[str, _Fired])

    @classmethod
    async def of(cls, session: AsyncSession, events: Sequence[EventRecord]) -> "Origins":
        """Look up where the runs come from that events tell of."""
        origins = cls(await _runs_at_work(session, events))
        for event in events:
            if (run_id := _run_of(event)) is not None:
                origins._runs[event.id] = {run_id}
        await origins._climb(session, set[str]().union(*origins._runs.values()))
        return origins

    async def _climb(self, session: AsyncSession, wanted: set[str]) -> None:
        for _ in range(_FARTHEST):
            wanted -= self._before.keys()
            if not wanted:
                break
            query = select(Run.id, Run.parent_run_id, Run.origin_run_id).where(Run.id.in_(wanted))
            rows = (await session.execute(query)).all()
            found = {row[0]: {one for one in row[1:] if one} for row in rows}
            self._before |= {run_id: found.get(run_id, set()) for run_id in wanted}
            wanted = set[str]().union(*found.values())
        query = select(Firing.run_id, Firing.trigger_id, Firing.depth).where(
            Firing.run_id.in_(self._before)
        )
        for row in await session.execute(query):
            self._fired[row[0]] = _Fired(row[1], row[2])

    def _firings(self, event: EventRecord) -> list[_Fired]:
        found: list[_Fired] = []
        ahead, seen = self._runs.get(event.id, set()), set[str]()
        while ahead:
            seen |= ahead
            found += [self._fired[one] for one in ahead if one in self._fired]
            ahead = set[str]().union(*(self._before.get(one, set()) for one in ahead)) - seen
        return found

    def caused(self, event: EventRecord, trigger_id: str) -> bool:
        """Tell whether an event comes from what this very trigger has started."""
        return any(fired.trigger_id == trigger_id for fired in self._firings(event))

    def depth(self, event: EventRecord) -> int:
        """Return how many triggers have fired one another up to an event."""
        return max((fired.depth for fired in self._firings(event)), default=-1) + 1


def _run_of(event: EventRecord) -> str | None:
    if event.subject_type == "run":
        return event.subject_id
    found: Any = event.data.get("run_id")
    return found if isinstance(found, str) else None


async def _runs_at_work(
    session: AsyncSession, events: Sequence[EventRecord]
) -> dict[str, set[str]]:
    """Return the runs of the agents of whose status events tell: these name no run themselves."""
    told = [
        event
        for event in events
        if event.type == "agent.status" and event.actor_kind == "system" and event.subject_id
    ]
    if not told:
        return {}
    query = select(Run.id, Run.agent_id, Run.created_at, Run.completed_at).where(
        Run.project_id == told[0].chain,
        Run.agent_id.in_({event.subject_id for event in told}),
        Run.created_at <= told[-1].created_at,
        or_(Run.completed_at.is_(None), Run.completed_at >= told[0].created_at - _AROUND),
    )
    rows = (await session.execute(query)).all()
    return {
        event.id: {
            run_id
            for run_id, agent_id, begun, ended in rows
            if agent_id == event.subject_id
            and begun <= event.created_at
            and (ended is None or ended >= event.created_at - _AROUND)
        }
        for event in told
    }
