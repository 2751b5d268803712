"""Queries on triggers and on what they fired."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import Run
from muster.domains.work.triggers.errors import FiringNotFound, TriggerNotFound
from muster.domains.work.triggers.models import Firing, Trigger, TriggerCursor
from muster.domains.work.triggers.schemas import FiringList, TriggerList
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows
from muster.platform.events import EventRecord


class TriggerRepository(Repository[Trigger]):
    """The triggers of one project."""

    model, missing = Trigger, TriggerNotFound

    async def search(self, params: TriggerList) -> Rows[Trigger]:
        """Return triggers that match the filters, newest first."""
        query = self.query()
        if params.type is not None:
            query = query.where(Trigger.type == params.type)
        return await self._page(query, params, params.enabled, params.search)

    async def schedules(
        self, params: ListParams, *, enabled: bool | None, search: str | None, crew_id: str | None
    ) -> Rows[Trigger]:
        """Return triggers of type `cron`, newest first."""
        query = self.query().where(Trigger.type == "cron")
        if crew_id is not None:
            query = query.where(Trigger.target_kind == "crew", Trigger.target == crew_id)
        return await self._page(query, params, enabled, search)

    async def _page(
        self, query: Select[Any], params: ListParams, enabled: bool | None, search: str | None
    ) -> Rows[Trigger]:
        if enabled is not None:
            query = query.where(Trigger.enabled == enabled)
        if search:
            columns = (Trigger.name, Trigger.description)
            query = query.where(or_(*(c.icontains(search, autoescape=True) for c in columns)))
        return await self.page(query, params, (Trigger.created_at, True))

    async def held(self, trigger_id: str) -> Trigger:
        """Return a trigger that nobody else changes until the unit of work ends."""
        query = self.query().where(Trigger.id == trigger_id).with_for_update()
        found: Trigger | None = await self.session.scalar(query)
        if found is None:
            raise TriggerNotFound
        return found

    async def begin_following(self) -> int:
        """See to it that the event log is followed; returns the number of its newest event."""
        newest = await self.session.scalar(
            select(func.max(EventRecord.seq)).where(EventRecord.chain == self.project_id)
        )
        values = {"project_id": self.project_id, "seq": newest or 0}
        dialect = self.session.get_bind().dialect.name
        insert = insert_postgresql if dialect == "postgresql" else insert_sqlite
        await self.session.execute(insert(TriggerCursor).values(values).on_conflict_do_nothing())
        return newest or 0


class FiringRepository(Repository[Firing]):
    """What the triggers of one project fired."""

    model, missing = Firing, FiringNotFound

    async def of(self, trigger_id: str, firing_id: str, *, held: bool = False) -> Firing:
        """Return a firing of a trigger; a held one is changed by nobody else meanwhile."""
        query = self.query().where(Firing.trigger_id == trigger_id, Firing.id == firing_id)
        found: Firing | None = await self.session.scalar(query.with_for_update() if held else query)
        if found is None:
            raise FiringNotFound
        return found

    async def history(self, trigger_id: str, params: FiringList) -> Rows[Firing]:
        """Return what a trigger fired, newest first."""
        query = self.query().where(Firing.trigger_id == trigger_id)
        if params.status is not None:
            query = query.where(Firing.status == params.status)
        if params.source is not None:
            query = query.where(Firing.source == params.source)
        return await self.page(query, params, (Firing.due_at, True))

    async def statuses(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Return how the runs stand that there are."""
        query = select(Run.id, Run.status).where(
            Run.project_id == self.project_id, Run.id.in_(run_ids)
        )
        return {row[0]: row[1] for row in await self.session.execute(query)}


async def find_hook(session: AsyncSession, trigger_id: str) -> Trigger | None:
    """Return a webhook trigger of any project: who calls proves by its secret that it may."""
    query = select(Trigger).where(Trigger.id == trigger_id, Trigger.type == "webhook")
    found: Trigger | None = await session.scalar(query)
    return found


async def find_firing(session: AsyncSession, trigger_id: str, due_key: str) -> Firing | None:
    """Return what a trigger was fired by before under the same key."""
    query = select(Firing).where(Firing.trigger_id == trigger_id, Firing.due_key == due_key)
    found: Firing | None = await session.scalar(query)
    return found
