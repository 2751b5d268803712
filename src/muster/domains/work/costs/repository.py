"""Sums over the journal. Every query is one pass over the model steps of a project."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.work.costs.calls import IS_CALL
from muster.domains.work.journal import Step

Bounds = tuple[datetime | None, datetime | None]
"""Not before, and before."""

_SUMS = (
    func.coalesce(func.sum(Step.cost), 0.0).label("cost"),
    func.count().label("calls"),
    func.count().filter(Step.cost.is_(None)).label("unpriced_calls"),
    *(
        func.coalesce(func.sum(getattr(Step, name)), 0).label(name)
        for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    ),
)


class CostRepository:
    """Costs of one project."""

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self._session, self._project_id = session, project_id
        self._on_postgres = session.get_bind().dialect.name == "postgresql"

    async def total(self, bounds: Bounds) -> Row[Any]:
        """Return the sums within the bounds."""
        return (await self._session.execute(self._within(select(*_SUMS), bounds))).one()

    async def by_day(self, bounds: Bounds) -> Sequence[Row[Any]]:
        """Return the sums of each day that has any, as `YYYY-MM-DD` in UTC."""
        day = self._day().label("day")
        query = self._within(select(day, *_SUMS), bounds).group_by(day)
        return (await self._session.execute(query)).all()

    async def by_agent(self, bounds: Bounds) -> Sequence[Row[Any]]:
        """Return the sums of each agent, with the names of deleted agents too."""
        sums = self._within(select(Step.agent_id, *_SUMS), bounds).group_by(Step.agent_id)
        costs = sums.subquery()
        query = select(costs, Agent.name.label("agent_name")).outerjoin(
            Agent, (Agent.id == costs.c.agent_id) & self._own(Agent.project_id)
        )
        return (await self._session.execute(query)).all()

    async def by_provider(self, bounds: Bounds) -> Sequence[Row[Any]]:
        """Return the sums of each provider and model, those with most calls first.

        What an agent elsewhere has logged may name neither: then both are None, and `name` is that
        of its step.
        """
        named = (self._text("provider").label("provider"), self._text("model").label("model"))
        query = self._within(select(*named, Step.name, *_SUMS), bounds)
        query = query.group_by(*named, Step.name).order_by(func.count().desc(), Step.name)
        return (await self._session.execute(query)).all()

    def _own(self, column: Any) -> ColumnElement[bool]:
        owned: ColumnElement[bool] = column == self._project_id
        return owned

    def _within(self, query: Select[Any], bounds: Bounds) -> Select[Any]:
        since, until = bounds
        query = query.where(self._own(Step.project_id), IS_CALL)
        if since is not None:
            query = query.where(Step.ended_at >= since)
        if until is not None:
            query = query.where(Step.ended_at < until)
        return query

    def _day(self) -> ColumnElement[str]:
        if self._on_postgres:
            return func.to_char(func.timezone("UTC", Step.ended_at), "YYYY-MM-DD")
        return func.strftime("%Y-%m-%d", Step.ended_at)

    def _text(self, name: str) -> ColumnElement[str | None]:
        """Return a property if it is a text: agents elsewhere may log anything under its name."""
        if self._on_postgres:
            value = cast(Step.properties, JSONB)[name]
            return case((func.jsonb_typeof(value) == "string", value.astext))
        path = f"$.{name}"
        is_text = func.json_type(Step.properties, path) == "text"
        return case((is_text, func.json_extract(Step.properties, path)))
