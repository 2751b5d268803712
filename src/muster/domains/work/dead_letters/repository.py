"""Queries on dead letters."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL
from muster.domains.work.dead_letters.errors import DeadLetterNotFound, DeadLetterTaken
from muster.domains.work.dead_letters.models import RETRIED, WAITING, DeadLetter
from muster.domains.work.dead_letters.schemas import DeadLetterList, DeadLetterStats
from muster.domains.work.journal import Run
from muster.kernel import clock
from muster.kernel.db import Repository
from muster.kernel.paging import Rows

_DAY = timedelta(days=1)


class DeadLetterRepository(Repository[DeadLetter]):
    """The dead letters of one project."""

    model, missing, taken = DeadLetter, DeadLetterNotFound, DeadLetterTaken

    async def search(self, params: DeadLetterList) -> Rows[DeadLetter]:
        """Return dead letters that match the filters, the newest failure first."""
        query = self._of(self.query(), params.kind, params.agent_id)
        if params.status is not None:
            query = query.where(DeadLetter.status == params.status)
        if text := params.search:
            columns = (DeadLetter.run_name, DeadLetter.reason)
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        return await self.page(query, params, (DeadLetter.failed_at, True))

    async def waiting(self, limit: int, kind: str | None, agent_id: str | None) -> Sequence[str]:
        """Return the ids of those that wait, the oldest first."""
        query = self._of(self._waiting(DeadLetter.id), kind, agent_id)
        ordered = query.order_by(DeadLetter.failed_at, DeadLetter.id).limit(limit)
        return (await self.session.scalars(ordered)).all()

    async def count_waiting(self, kind: str | None, agent_id: str | None) -> int:
        """Return how many wait."""
        query = self._of(self._waiting(func.count()), kind, agent_id)
        return await self.session.scalar(query) or 0

    async def held(self, letter_id: str) -> DeadLetter:
        """Return a dead letter that nobody else changes until the unit of work ends."""
        query = self.query().where(DeadLetter.id == letter_id).with_for_update()
        # One that was read before is as it was then, and not as whoever held it left it.
        fresh = query.execution_options(populate_existing=True)
        found: DeadLetter | None = await self.session.scalar(fresh)
        if found is None:
            raise DeadLetterNotFound
        return found

    async def lies_already(self, run_id: str) -> bool:
        """Tell whether a run waits among the dead letters."""
        query = self._waiting(DeadLetter.id).where(DeadLetter.run_id == run_id)
        return await self.session.scalar(query) is not None

    async def stats(self) -> DeadLetterStats:
        """Return how many there are, and of what."""
        mine = DeadLetter.project_id == self.project_id
        query = select(DeadLetter.status, func.count()).where(mine).group_by(DeadLetter.status)
        counts: dict[str, int] = {r[0]: r[1] for r in await self.session.execute(query)}
        recent = select(func.count()).where(mine, DeadLetter.failed_at > clock.now() - _DAY)
        code = DeadLetter.error["code"].as_string()
        ends = self._waiting(func.min(DeadLetter.failed_at), func.max(DeadLetter.failed_at))
        bounds: Any = (await self.session.execute(ends)).one()
        return DeadLetterStats(
            total=sum(counts.values()),
            waiting=counts.get(WAITING, 0),
            retried=counts.get(RETRIED, 0),
            last_24h=await self.session.scalar(recent) or 0,
            by_kind=await self._counted(DeadLetter.kind),
            by_error=await self._counted(code),
            by_agent=await self._counted(DeadLetter.agent_id),
            oldest_at=bounds[0],
            newest_at=bounds[1],
        )

    async def _counted(self, column: Any) -> dict[str, int]:
        found = Counter[str]()
        rows: Any = await self.session.execute(self._waiting(column, func.count()).group_by(column))
        for name, count in rows:
            found[name or "unknown"] += count
        return dict(found.most_common())

    def _waiting(self, *columns: Any) -> Select[Any]:
        query: Any = select(*columns)
        waiting: Select[Any] = query.where(
            DeadLetter.project_id == self.project_id, DeadLetter.status == WAITING
        )
        return waiting

    @staticmethod
    def _of(query: Select[Any], kind: str | None, agent_id: str | None) -> Select[Any]:
        if kind is not None:
            query = query.where(DeadLetter.kind == kind)
        if agent_id is not None:
            query = query.where(DeadLetter.agent_id == agent_id)
        return query


async def find_run(session: AsyncSession, project_id: str, reference: str) -> Run | None:
    """Return a run of a project, by its id or as the last run of the task of this id."""
    of_task = and_(Run.kind.in_(("task", EXTERNAL)), Run.target_id == reference)
    query = (
        select(Run)
        .where(Run.project_id == project_id, or_(Run.id == reference, of_task))
        .order_by(Run.id.desc())
        .limit(1)
    )
    found: Run | None = await session.scalar(query)
    return found
