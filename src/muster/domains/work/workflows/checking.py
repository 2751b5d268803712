"""Whether what a workflow refers to is there: agents, tools, models, crews, other workflows."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import select

from muster.domains.catalogue.agents import Agent
from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.work.crews import Crew
from muster.domains.work.plans import PlanProblem, WorkflowSpec
from muster.domains.work.workflows.known import Known
from muster.domains.work.workflows.needs import references_of
from muster.domains.work.workflows.notations import Read
from muster.domains.work.workflows.repository import names_of_workflows
from muster.domains.work.workflows.validating import problems_of
from muster.kernel.db import Database

_MOST = 200
"""Most models and tools that are asked about."""


class Tools(Protocol):
    """Says what tools there are, and why some cannot be used."""

    async def all(self, project_id: str) -> list[Any]: ...

    async def problems(
        self, project_id: str, names: list[str], configs: Mapping[str, dict[str, Any]]
    ) -> list[tuple[str, str]]: ...


class References:
    """Looks at everything that a workflow refers to; one for the process.

    Asks model servers: no session is to be open meanwhile.
    """

    def __init__(self, database: Database, models: ModelCatalogue, tools: Tools) -> None:
        self._database, self._models, self._tools = database, models, tools

    async def check(self, project_id: str, read: Read) -> list[PlanProblem]:
        """Return all that is wrong with a workflow in a project."""
        known = await self._known(project_id, read.spec)
        return await asyncio.to_thread(problems_of, read.spec, known, read=read)

    async def _known(self, project_id: str, spec: WorkflowSpec) -> Known:
        named: dict[str, set[str]] = {"tool": set(), "model": set()}
        for node in spec.nodes:
            for kind, _, reference in references_of(node):
                named.setdefault(kind, set()).add(reference)
        if spec.model:
            named["model"].add(spec.model)
        asked = {kind: sorted(references)[:_MOST] for kind, references in named.items()}
        async with self._database.read() as session:
            query = select(Agent.id, Agent.key, Agent.name).where(
                Agent.project_id == project_id, Agent.deleted_at.is_(None)
            )
            agents = {name for row in await session.execute(query) for name in row if name}
            stored = select(Crew.id, Crew.name).where(Crew.project_id == project_id)
            crews = {name for row in await session.execute(stored) for name in row}
            workflows = await names_of_workflows(session, project_id)
        unusable: dict[str, str] = {}
        tools = {
            name for tool in await self._tools.all(project_id) for name in (tool.id, tool.name)
        }
        for tool, problem in await self._tools.problems(project_id, asked["tool"], {}):
            unusable.setdefault(f"tool:{tool}", problem)
        models = await self._models.problems(project_id, asked["model"])
        faults = {f"model:{model}": problem for model, problem in models.items() if problem}
        if faults:
            named["model"] |= {model.name for model in await self._models.names.all()}
        unusable |= faults
        # What is no name of a tool may mean a function of one; whether it does was asked above.
        return Known(
            agents=agents,
            tools=tools | named["tool"],
            models=named["model"],
            crews=crews,
            workflows=workflows,
            unusable=unusable,
        )
