"""Queries on incidents."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select

from muster.domains.catalogue.agents import Agent
from muster.domains.control.incidents.errors import IncidentFollowed, IncidentNotFound
from muster.domains.control.incidents.models import Incident, IncidentChange
from muster.domains.control.incidents.schemas import IncidentFilter, IncidentList
from muster.kernel.db import Repository
from muster.kernel.paging import Rows
from muster.platform.access import Caller, CallerKind

_SEARCHED = (Incident.title, Incident.description, Incident.step_name)


class IncidentRepository(Repository[Incident]):
    """The incidents of one project."""

    model, missing, taken = Incident, IncidentNotFound, IncidentFollowed

    async def search(self, params: IncidentList) -> Rows[Incident]:
        """Return incidents that match the filters, the one that happened last first."""
        query = self._filtered(self.query(), params)
        return await self.page(query, params, (Incident.last_occurrence, True))

    async def counts(self, params: IncidentFilter) -> dict[str, int]:
        """Return how many incidents match the filters, by status."""
        query = self._filtered(self.query(), params)
        counted = query.with_only_columns(Incident.status, func.count()).group_by(Incident.status)
        rows = await self.session.execute(counted)
        return dict(rows.all())

    async def held(self, incident_id: str) -> Incident:
        """Return an incident that nobody else changes until the unit of work ends."""
        query = self.query().where(Incident.id == incident_id).with_for_update(key_share=True)
        found: Incident | None = await self.session.scalar(query)
        if found is None:
            raise IncidentNotFound
        return found

    async def changes(self, incident: Incident) -> Sequence[IncidentChange]:
        """Return the changes of an incident's status, oldest first."""
        query = select(IncidentChange).where(IncidentChange.incident_id == incident.id)
        return (await self.session.scalars(query.order_by(IncidentChange.id))).all()

    async def find_reporting_agent(self, caller: Caller, reference: str) -> Agent | None:
        """Return an agent, deactivated or not, for which the caller may report, by id or key.

        A key names an agent of the caller's account before one of the project itself.
        """
        theirs = Agent.account_id == caller.id
        if caller.kind is not CallerKind.AGENT_KEY:
            theirs = or_(theirs, Agent.account_id.is_(None))
        query = (
            select(Agent)
            .where(Agent.project_id == self.project_id, theirs)
            .where(or_(Agent.id == reference, Agent.key == reference))
            .order_by(
                (Agent.id == reference).desc(),
                Agent.account_id.is_not(None).desc(),
                Agent.deleted_at.is_(None).desc(),
                Agent.created_at.desc(),
            )
        )
        found: Agent | None = await self.session.scalar(query.limit(1))
        return found

    def _filtered(self, query: Select[Any], params: IncidentFilter) -> Select[Any]:
        for column, names in (
            (Incident.status, params.status),
            (Incident.severity, params.severity),
        ):
            if names:
                query = query.where(column.in_(names.split(",")))
        for column, value in (
            (Incident.agent_id, params.agent_id),
            (Incident.policy_id, params.policy_id),
            (Incident.environment, params.environment),
            (Incident.run_id, params.run_id),
            (Incident.task_id, params.task_id),
        ):
            if value:
                query = query.where(column == value)
        if params.agent_key:
            keyed = select(Agent.id).where(
                Agent.project_id == self.project_id, Agent.key == params.agent_key
            )
            query = query.where(Incident.agent_id.in_(keyed))
        if params.from_:
            query = query.where(Incident.last_occurrence >= params.from_)
        if params.to:
            query = query.where(Incident.last_occurrence < params.to)
        if text := params.search:
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in _SEARCHED)))
        return query
