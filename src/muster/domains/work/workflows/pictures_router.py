"""Pictures of what lies below workflows: crews, and the runs of plans."""

import asyncio
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import HTTPConnection
from starlette.responses import Response

from muster.domains.work.crews import CrewNotFound, DefinitionsInvalid, find_crew
from muster.domains.work.crews import spec_of as crew_spec_of
from muster.domains.work.runs import RunNotFound
from muster.domains.work.workflows.drawing import draw_crew, draw_plan
from muster.domains.work.workflows.errors import ExecutionWithoutPlan
from muster.domains.work.workflows.progress import agents_of, find_run, plan_of, states_of
from muster.domains.work.workflows.schemas import DrawParams
from muster.kernel.http import Db, Router, problems
from muster.platform.access import Caller, Scope, requires

crews_router = Router("/crews", tag="Crews")
executions_router = Router("/executions", tag="Executions")

CanReadCrews = Annotated[Caller, requires(Scope.CREWS_READ)]
CanReadRuns = Annotated[Caller, requires(Scope.RUNS_READ)]

_SVG = "image/svg+xml"
_PICTURE: dict[int | str, Any] = {
    200: {"description": "The picture.", "content": {_SVG: {"schema": {"type": "string"}}}}
}


@crews_router.get(
    "/{crew_id}/svg",
    response_class=Response,
    responses={**_PICTURE, **problems(CrewNotFound, DefinitionsInvalid)},
)
async def draw_stored_crew(
    connection: HTTPConnection,
    caller: CanReadCrews,
    database: Db,
    crew_id: str,
    params: Annotated[DrawParams, Query()],
) -> Response:
    """Draw a crew: its tasks with their agents.

    A solid line leads from a task to those that have it as their context, a dashed one to the task
    that follows. Over the tasks of a hierarchical crew stands its manager.
    """
    async with database.read() as session:
        crew = await find_crew(session, caller.project_id, crew_id)
        spec = await crew_spec_of(session, crew, connection.app.state.stored_tasks)
    svg = await asyncio.to_thread(lambda: draw_crew(spec, theme=params.theme))
    return Response(svg, media_type=_SVG)


@executions_router.get(
    "/{execution_id}/svg",
    response_class=Response,
    responses={**_PICTURE, **problems(RunNotFound, ExecutionWithoutPlan)},
)
async def draw_execution(
    caller: CanReadRuns,
    database: Db,
    execution_id: str,
    params: Annotated[DrawParams, Query()],
) -> Response:
    """Draw the plan of an execution, with how far it is: the border of each node has a colour.

    pending, running, waiting for a person or a moment, completed, failed, or skipped: not reached
    before the run ended. The plan is the one that the run began with. A run of an agent alone has
    no plan, and is a 409.
    """
    async with database.read() as session:
        run = await find_run(session, caller.project_id, execution_id)
        plan = plan_of(run)
        states = await states_of(session, run, plan)
        agents = agents_of(run)
    svg = await asyncio.to_thread(
        lambda: draw_plan(plan, agents, theme=params.theme, states=states)
    )
    return Response(svg, media_type=_SVG)
