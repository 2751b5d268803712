"""Definitions that tests of plans execute, and how they start them."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.plans import (
    CrewSpec,
    Freezer,
    NodeSpec,
    Shelf,
    TaskSpec,
    WorkflowSpec,
)
from muster.domains.work.runs import ExecutionCreate, Frozen, RunService
from muster.entrypoints.assembly import Muster
from muster.kernel.errors import NotFound
from muster.platform.access import Caller
from tests.support.people import People
from tests.work.driving import until

MODEL = "openai/scripted-large"
START = {"name": "start", "type": "start", "next": "it"}
END = {"name": "end", "type": "end"}
TOLD = {"name": "told", "type": "output", "prompt": "{{ nodes.it.error.message }}"}


class NothingStored:
    """No task, crew or workflow is stored."""

    async def task(self, project_id: str, reference: str) -> tuple[str, TaskSpec]:
        raise NotFound(f"{project_id}: {reference}")

    async def crew(
        self, project_id: str, reference: str, model: str | None
    ) -> tuple[str, CrewSpec]:
        raise NotFound(f"{project_id}: {reference}")

    async def workflow(self, project_id: str, reference: str) -> tuple[str, WorkflowSpec]:
        raise NotFound(f"{project_id}: {reference}")


def freezer(muster: Muster, project_id: str) -> Freezer:
    parts = muster.running.parts

    def reading() -> AbstractAsyncContextManager[AsyncSession]:
        return parts.database.read()

    shelf = Shelf(reading=reading, models=parts.models, tools=parts.tools, stored=NothingStored())
    return Freezer(shelf, project_id)


def crew(*tasks: dict[str, Any], **fields: Any) -> CrewSpec:
    """Return a crew of a writer and an editor."""
    agents = [
        {"key": key, "definition": {"name": key, "role": f"the {key}", "llm": MODEL}}
        for key in ("writer", "editor")
    ]
    given = {"name": "Desk", "agents": agents, "tasks": list(tasks), **fields}
    return CrewSpec.model_validate(given)


def task(key: str, agent: str = "writer", **fields: Any) -> dict[str, Any]:
    return {"key": key, "description": f"Do {key}.", "agent": agent, **fields}


def flow(*nodes: dict[str, Any], **fields: Any) -> WorkflowSpec:
    return WorkflowSpec(nodes=[NodeSpec.model_validate(node) for node in nodes], **fields)


def between(*nodes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the nodes of a whole flow: these between a start and an end."""
    first = {"name": "start", "type": "start", "next": nodes[0]["name"]}
    return [first, *nodes[:-1], {**nodes[-1], "next": "end"}, {"name": "end", "type": "end"}]


async def start_plan(
    muster: Muster, project_id: str, spec: CrewSpec | WorkflowSpec, **inputs: Any
) -> str:
    """Start a plan that is not stored; returns the run's id."""
    freezing = freezer(muster, project_id)
    is_crew = isinstance(spec, CrewSpec)
    snapshot = await (freezing.crew(spec) if is_crew else freezing.workflow(spec))
    frozen = Frozen(
        kind="crew" if is_crew else "workflow", name=spec.name, snapshot=snapshot, inputs=inputs
    )
    async with muster.database.write() as session:
        service = RunService(
            session, Caller.system(project_id), muster.running.parts, timeout_s=600
        )
        run = await service.create(ExecutionCreate(), frozen)
    return run.id


async def came(muster: Muster, people: People, spec: Any, **inputs: Any) -> dict[str, Any]:
    """Execute a plan to its end."""
    return await until(people.owner, await start_plan(muster, people.project_id, spec, **inputs))


def alone(**node: Any) -> WorkflowSpec:
    """Return a flow of one node, whose failure is told by another."""
    return flow(START, {"name": "it", "next": "end", **node}, TOLD, END, model=MODEL)


# -- flows -------------------------------------------------------------------------------------
