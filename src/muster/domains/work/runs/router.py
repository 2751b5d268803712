"""HTTP surface of executions."""

import asyncio
from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.catalogue.agents import (
    AgentAmbiguous,
    AgentNotFound,
    AgentNotReady,
    AgentRunsElsewhere,
)
from muster.domains.control.access_rules import AccessDeniedByRule
from muster.domains.work.journal import IllegalRunMove, Run
from muster.domains.work.runs.errors import (
    ForkPointInvalid,
    RunHasParent,
    RunIsExternal,
    RunNotFound,
    RunStillActive,
    RunTargetMissing,
)
from muster.domains.work.runs.naming import described_by, generated_name
from muster.domains.work.runs.parts import RunParts, Targets
from muster.domains.work.runs.presenting import present
from muster.domains.work.runs.schemas import (
    CancelRequest,
    ExecutionCreate,
    ExecutionList,
    ExecutionOut,
    ExecutionStarted,
    ExecutionStatusOut,
    ForkRequest,
    HistoryList,
    NameAnswer,
    NameRequest,
    StopAnswer,
    StopRequest,
)
from muster.domains.work.runs.service import RunService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/executions", tag="Executions")
history_router = Router("/execution-history", tag="Executions")

CanRead = Annotated[Caller, requires(Scope.RUNS_READ)]
CanExecute = Annotated[Caller, requires(Scope.RUNS_EXECUTE)]


def parts_of(connection: HTTPConnection) -> RunParts:
    """Return the parts of the process that runs need."""
    parts: RunParts = connection.app.state.run_parts
    return parts


def _timeout(connection: HTTPConnection) -> int:
    return int(connection.app.state.settings.runs.timeout_s)


async def _parts(connection: HTTPConnection) -> RunParts:
    return parts_of(connection)


async def _reader(connection: HTTPConnection, session: Reading, caller: CanRead) -> RunService:
    return RunService(session, caller, parts_of(connection), timeout_s=_timeout(connection))


async def _writer(connection: HTTPConnection, caller: CanExecute, session: Writing) -> RunService:
    return RunService(session, caller, parts_of(connection), timeout_s=_timeout(connection))


async def _targets(connection: HTTPConnection) -> Targets:
    targets: Targets = connection.app.state.launcher
    return targets


Parts = Annotated[RunParts, Depends(_parts)]
FromTargets = Annotated[Targets, Depends(_targets)]
Reader = Annotated[RunService, Depends(_reader)]
Writer = Annotated[RunService, Depends(_writer)]


def _shown(rows: Rows[Run]) -> Rows[ExecutionOut]:
    items = [present(run) for run in rows.items]
    return Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)


def _started(run: Run, message: str) -> ExecutionStarted:
    return ExecutionStarted(
        execution_id=run.id, status=run.status, message=message, run_name=run.name
    )


@router.post(
    "",
    status_code=201,
    responses=problems(
        RunTargetMissing,
        AgentNotFound,
        AgentNotReady,
        AgentAmbiguous,
        AgentRunsElsewhere,
        AccessDeniedByRule,
    ),
)
async def create_execution(
    caller: CanExecute, targets: FromTargets, runs: Writer, body: ExecutionCreate
) -> ExecutionStarted:
    """Start a run of an agent, a task, a crew or a workflow, and answer at once.

    The run is stored before the answer and survives a restart. What it runs is frozen into it:
    changes made to an agent or a crew later do not touch it. What lacks something, such as an
    unknown model or tool, is a 409 that names all that is missing.
    """
    run = await runs.create(body, await targets.freeze(caller.project_id, body))
    return _started(run, "Execution started successfully")


@router.get("", response_model=Page[ExecutionOut])
async def list_executions(
    runs: Reader, params: Annotated[ExecutionList, Query()]
) -> Rows[ExecutionOut]:
    """List the runs of the project, newest first."""
    return _shown(await runs.list(params))


@router.post("/generate-name")
async def generate_execution_name(_: CanExecute, body: NameRequest) -> NameAnswer:
    """Make up a name of two to four words for what is described.

    The name is made of the description's own telling words; no model is asked.
    """
    sources = (body.agents_yaml, body.tasks_yaml)
    given = [source for source in sources if source]
    texts = [text for one in given for text in await asyncio.to_thread(described_by, one)]
    texts += [value for value in (body.inputs or {}).values() if isinstance(value, str)]
    return NameAnswer(name=generated_name(texts))


@router.get("/{execution_id}", responses=problems(RunNotFound))
async def get_execution(runs: Reader, execution_id: str) -> ExecutionOut:
    """Get a run with its result, usage and cost."""
    return present(await runs.get(execution_id))


@router.get("/{execution_id}/status", responses=problems(RunNotFound))
async def get_execution_status(runs: Reader, execution_id: str) -> ExecutionStatusOut:
    """Get where a run stands."""
    return await runs.status(execution_id)


@router.post("/{execution_id}/cancel", responses=problems(RunNotFound, IllegalRunMove))
async def cancel_execution(
    runs: Writer, execution_id: str, body: CancelRequest | None = None
) -> ExecutionStarted:
    """End a run at once; a model call or tool in flight is broken off within a second.

    A run that happens elsewhere goes on there; its record is closed and takes no more steps.
    """
    run = await runs.cancel(execution_id, body.reason if body else None)
    return _started(run, "Execution cancelled")


@router.post("/{execution_id}/stop", responses=problems(RunNotFound, RunIsExternal))
async def stop_execution(
    runs: Writer, execution_id: str, body: StopRequest | None = None
) -> StopAnswer:
    """Stop a run and keep what it has reached.

    `graceful` lets the present step end, `force` breaks it off. A run that has ended already is
    left as it is, which the message says.
    """
    run, message, partial = await runs.stop(execution_id, body or StopRequest())
    return StopAnswer(
        execution_id=run.id, status=run.status, message=message, partial_results=partial
    )


@router.post("/{execution_id}/force-stop", responses=problems(RunNotFound, RunIsExternal))
async def force_stop_execution(runs: Writer, execution_id: str) -> StopAnswer:
    """Stop a run at once and keep what it has reached."""
    run, message, partial = await runs.stop(execution_id, StopRequest(stop_type="force"))
    return StopAnswer(
        execution_id=run.id, status=run.status, message=message, partial_results=partial
    )


@router.post(
    "/{execution_id}/resume",
    responses=problems(
        RunNotFound, IllegalRunMove, RunHasParent, RunIsExternal, AccessDeniedByRule
    ),
)
async def resume_execution(runs: Writer, execution_id: str) -> ExecutionStarted:
    """Take up a failed, stopped or cancelled run where it was; finished steps are not repeated."""
    return _started(await runs.resume(execution_id), "Execution resumed")


@router.post(
    "/{execution_id}/retry",
    status_code=201,
    responses=problems(RunNotFound, RunStillActive, RunIsExternal, AccessDeniedByRule),
)
async def retry_execution(runs: Writer, execution_id: str) -> ExecutionStarted:
    """Run the same again as a new run: same definition, same inputs, from the beginning."""
    return _started(await runs.retry(execution_id), "Execution started again")


@router.post(
    "/{execution_id}/fork",
    status_code=201,
    responses=problems(RunNotFound, ForkPointInvalid, RunIsExternal, AccessDeniedByRule),
)
async def fork_execution(runs: Writer, execution_id: str, body: ForkRequest) -> ExecutionStarted:
    """Start a new run that shares the first steps of this one and goes its own way from there."""
    return _started(await runs.fork(execution_id, body), "Execution forked")


@history_router.get("", response_model=Page[ExecutionOut])
async def list_execution_history(
    runs: Reader, params: Annotated[HistoryList, Query()]
) -> Rows[ExecutionOut]:
    """List the runs of the project that have ended, newest first."""
    return _shown(await runs.history(params))


@history_router.get("/{execution_id}", responses=problems(RunNotFound))
async def get_execution_history(runs: Reader, execution_id: str) -> ExecutionOut:
    """Get a run of the history."""
    return present(await runs.get(execution_id))
