"""Queries on crews and on what people think of them."""

from collections.abc import Collection

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.crews.errors import CrewNameTaken, CrewNotFound
from muster.domains.work.crews.models import Crew, CrewFeedback
from muster.domains.work.crews.schemas import CrewList
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows


class CrewRepository(Repository[Crew]):
    """The crews of one project."""

    model, missing, taken = Crew, CrewNotFound, CrewNameTaken

    async def search(self, params: CrewList) -> Rows[Crew]:
        """Return crews that match the filters, newest first."""
        query = self.query()
        if params.search:
            columns = (Crew.name, Crew.description)
            text = params.search
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        return await self.page(query, params, (Crew.created_at, True))

    async def held(self, crew_id: str) -> Crew:
        """Return a crew that nobody else changes until the unit of work ends."""
        query = self.query().where(Crew.id == crew_id).with_for_update(key_share=True)
        crew: Crew | None = await self.session.scalar(
            query.execution_options(populate_existing=True)
        )
        if crew is None:
            raise CrewNotFound
        return crew

    async def named(self, name: str) -> Crew | None:
        """Return the crew of exactly this name."""
        crew: Crew | None = await self.session.scalar(self.query().where(Crew.name == name))
        return crew


class FeedbackRepository(Repository[CrewFeedback]):
    """What people think of the crews of one project."""

    model = CrewFeedback

    async def of_crew(self, crew_id: str, params: ListParams) -> Rows[CrewFeedback]:
        """Return what people think of a crew, newest first."""
        query = self.query().where(CrewFeedback.crew_id == crew_id)
        return await self.page(query, params, (CrewFeedback.created_at, True))

    async def counts(self, crew_ids: Collection[str]) -> dict[tuple[str, str], int]:
        """Return how often crews were rated, by crew and rating."""
        rated = select(CrewFeedback.crew_id, CrewFeedback.rating, func.count()).where(
            CrewFeedback.project_id == self.project_id, CrewFeedback.crew_id.in_(crew_ids)
        )
        grouped = rated.group_by(CrewFeedback.crew_id, CrewFeedback.rating)
        rows = (await self.session.execute(grouped)).all()
        return {(crew_id, rating): count for crew_id, rating, count in rows}


async def find_crew(session: AsyncSession, project_id: str, reference: str) -> Crew:
    """Return a crew by its id, else by its exact name; raises `CrewNotFound`."""
    crews = CrewRepository(session, project_id)
    crew = await crews.find(reference) or await crews.named(reference)
    if crew is None:
        raise CrewNotFound(f"There is no crew {reference[:100]!r} in this project; GET /crews.")
    return crew
