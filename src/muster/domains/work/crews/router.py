"""HTTP surface of crews."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.work.crews.combining import CrewParts
from muster.domains.work.crews.errors import (
    CrewNameTaken,
    CrewNotFound,
    CrewSecretsRefused,
    DefinitionsInvalid,
)
from muster.domains.work.crews.feedback_schemas import (
    CrewFeedbackOut,
    FeedbackCreate,
    FeedbackSummaryOut,
)
from muster.domains.work.crews.models import Crew, CrewFeedback
from muster.domains.work.crews.readiness import CrewReadiness
from muster.domains.work.crews.repository import CrewRepository, find_crew
from muster.domains.work.crews.schemas import (
    CrewCreate,
    CrewDebug,
    CrewList,
    CrewOut,
    CrewPatch,
    CrewStatus,
    DebugData,
    DebugOut,
    SaveParams,
)
from muster.domains.work.crews.service import CrewService
from muster.kernel.http import Db, Reading, Router, Sealing, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/crews", tag="Crews")

CanRead = Annotated[Caller, requires(Scope.CREWS_READ)]
CanWrite = Annotated[Caller, requires(Scope.CREWS_WRITE)]
CanRate = Annotated[Caller, requires(Scope.RUNS_EXECUTE)]


async def _reader(session: Reading, caller: CanRead, key: Sealing) -> CrewService:
    return CrewService(session, caller, key)


async def _writer(caller: CanWrite, session: Writing, key: Sealing) -> CrewService:
    return CrewService(session, caller, key)


async def _rater(caller: CanRate, session: Writing, key: Sealing) -> CrewService:
    return CrewService(session, caller, key)


async def _readiness(connection: HTTPConnection) -> CrewReadiness:
    state = connection.app.state
    return CrewReadiness(state.database, state.models, state.tools, state.stored_tasks)


Reader = Annotated[CrewService, Depends(_reader)]
Writer = Annotated[CrewService, Depends(_writer)]
Rater = Annotated[CrewService, Depends(_rater)]
Checks = Annotated[CrewReadiness, Depends(_readiness)]

_CHANGES = problems(CrewNotFound, CrewNameTaken, DefinitionsInvalid, CrewSecretsRefused)


def _shown(crew: Crew, status: CrewStatus | None = None) -> CrewOut:
    return CrewOut.model_validate(crew).model_copy(update={"configuration_status": status})


async def _change(
    caller: CanWrite, database: Db, crews: Writer, checks: Checks
) -> Callable[[str, dict[str, Any]], Awaitable[CrewOut]]:
    async def change(crew_id: str, changes: dict[str, Any]) -> CrewOut:
        # Before the first statement: models are looked for while no connection is taken.
        async with database.read() as session:
            before = await CrewRepository(session, caller.project_id).get(crew_id)
            parts = CrewParts.of(before, **changes)
        status = await checks.saved(caller.project_id, parts)
        return _shown(await crews.change(crew_id, changes), status)

    return change


Change = Annotated[Callable[[str, dict[str, Any]], Awaitable[CrewOut]], Depends(_change)]


@router.get("", response_model=Page[CrewOut])
async def list_crews(crews: Reader, params: Annotated[CrewList, Query()]) -> Rows[CrewOut]:
    """List the crews of the project, newest first. `configuration_status` is left to `get`."""
    rows = await crews.list(params)
    shown = [_shown(crew) for crew in rows.items]
    return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)


@router.post(
    "",
    status_code=201,
    responses=problems(CrewNameTaken, DefinitionsInvalid, CrewSecretsRefused),
)
async def create_crew(
    caller: CanWrite,
    crews: Writer,
    checks: Checks,
    params: Annotated[SaveParams, Query()],
    body: CrewCreate,
) -> CrewOut:
    """Create a crew: agents, tasks, and the way they work together.

    `agents_yaml` and `tasks_yaml` are YAML text, JSON text or objects; `agent_ids` and `task_ids`
    name stored agents and tasks besides. A crew that names unknown agents, tools or models is saved
    all the same; `configuration_status` says what it lacks. A text that cannot be read is a 422
    with its line and column.
    """
    status = await checks.saved(caller.project_id, CrewParts.of(body))
    return _shown(await crews.create(body, overwrite=params.overwrite), status)


@router.post("/debug", responses=problems(CrewNotFound))
async def debug_crew(caller: CanRead, database: Db, checks: Checks, body: CrewDebug) -> DebugOut:
    """Look for what is wrong with a crew, stored or not; nothing is saved and nothing runs.

    Answers 200 whatever is wrong. Problems have the line where it stands in a text, and a name that
    was probably meant. Those of severity `error` keep the crew from running.
    """
    parts = CrewParts.of(body)
    if body.crew_id:
        async with database.read() as session:
            parts = CrewParts.of(await find_crew(session, caller.project_id, body.crew_id))
    spec, status = await checks.examined(caller.project_id, parts)
    errors = sum(problem.severity == "error" for problem in status.problems)
    message = (
        "The crew can run." if status.is_ready else f"{errors} problem(s) keep it from running."
    )
    return DebugOut(
        status="success",
        message=message,
        valid=status.is_ready,
        problems=status.problems,
        data=DebugData(
            name=spec.name,
            agent_ids=[member.key for member in spec.agents],
            task_ids=[str(task.key) for task in spec.tasks],
            node_count=len(parts.nodes),
            edge_count=len(parts.edges),
        ),
    )


@router.get("/feedback-summary", response_model=Page[FeedbackSummaryOut])
async def summarize_crew_feedback(
    crews: Reader, params: Annotated[CrewList, Query()]
) -> Rows[FeedbackSummaryOut]:
    """Count the ratings of each crew, newest crew first."""
    return await crews.summary(params)


@router.get("/{crew_id}", responses=problems(CrewNotFound))
async def get_crew(crews: Reader, session: Reading, checks: Checks, crew_id: str) -> CrewOut:
    """Get a crew and whether it can run."""
    crew = await crews.get(crew_id)
    # Not a rollback: that would expire the crew that was just read.
    await session.commit()
    return _shown(crew, await checks.of(crew.project_id, CrewParts.of(crew)))


@router.put("/{crew_id}", responses=_CHANGES)
async def update_crew(change: Change, crew_id: str, body: CrewPatch) -> CrewOut:
    """Change the given fields of a crew; the others keep their values."""
    return await change(crew_id, body.changes())


@router.patch("/{crew_id}", responses=_CHANGES)
async def patch_crew(change: Change, crew_id: str, body: CrewPatch) -> CrewOut:
    """Change the given fields of a crew; the others keep their values."""
    return await change(crew_id, body.changes())


@router.put("/{crew_id}/full", responses=_CHANGES)
async def replace_crew(change: Change, crew_id: str, body: CrewCreate) -> CrewOut:
    """Replace a whole crew; what is left out gets its default."""
    return await change(crew_id, body.model_dump())


@router.delete("/{crew_id}", status_code=204, responses=problems(CrewNotFound))
async def delete_crew(crews: Writer, crew_id: str) -> None:
    """Delete a crew with its feedback. Its runs keep what they were ruled by."""
    await crews.delete(crew_id)


@router.post(
    "/{crew_id}/feedback",
    status_code=201,
    response_model=CrewFeedbackOut,
    responses=problems(CrewNotFound),
)
async def rate_crew(crews: Rater, crew_id: str, body: FeedbackCreate) -> CrewFeedback:
    """Say what you think of a crew's work. A rating of down needs a comment."""
    return await crews.rate(crew_id, body)


@router.get(
    "/{crew_id}/feedback",
    response_model=Page[CrewFeedbackOut],
    responses=problems(CrewNotFound),
)
async def list_crew_feedback(
    crews: Reader, crew_id: str, params: Annotated[ListParams, Query()]
) -> Rows[CrewFeedback]:
    """List what people think of a crew, newest first."""
    return await crews.feedback(crew_id, params)
