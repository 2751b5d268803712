"""HTTP surface of tasks."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.work.runs import ExecutionOut, RunService, present
from muster.domains.work.tasks.errors import (
    TaskAtWork,
    TaskEnded,
    TaskNotFound,
    TaskNotReady,
    TaskSecretsRefused,
)
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.readiness import TaskProblem, tool_problems
from muster.domains.work.tasks.schemas import (
    TaskCancelRequest,
    TaskCreate,
    TaskList,
    TaskOut,
    TaskPatch,
    TaskReplace,
    TaskRunRequest,
    TaskRunStarted,
    TaskStats,
)
from muster.domains.work.tasks.service import TaskService
from muster.domains.work.tasks.spec import TaskDefinition, changed_definition, spec_of
from muster.domains.work.tasks.starting import Starter
from muster.kernel.http import Db, Reading, Router, Sealing, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/tasks", tag="Tasks")

CanRead = Annotated[Caller, requires(Scope.TASKS_READ)]
CanWrite = Annotated[Caller, requires(Scope.TASKS_WRITE)]
CanCancel = Annotated[Caller, requires(Scope.TASKS_WRITE, Scope.RUNS_EXECUTE)]
CanExecute = Annotated[Caller, requires(Scope.RUNS_EXECUTE)]


class Checks:
    """Says what is wrong with the tools of tasks, with the tools of this process."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._tools = connection.app.state.tools

    async def of(self, project_id: str, definition: TaskDefinition) -> list[TaskProblem]:
        """Return what is wrong with the tools of a definition."""
        return await tool_problems(
            self._tools, project_id, definition.tools, definition.tool_configs
        )

    async def of_stored(self, task: Task) -> list[TaskProblem]:
        """Return what is wrong with the tools of a task."""
        spec = spec_of(task)
        return await tool_problems(self._tools, task.project_id, spec.tools, spec.tool_configs)


async def _checks(connection: HTTPConnection) -> Checks:
    return Checks(connection)


async def _reader(session: Reading, caller: CanRead, key: Sealing) -> TaskService:
    return TaskService(session, caller, key)


async def _writer(caller: CanWrite, session: Writing, key: Sealing) -> TaskService:
    return TaskService(session, caller, key)


async def _runs(connection: HTTPConnection, caller: CanCancel, session: Writing) -> RunService:
    state = connection.app.state
    timeout = int(state.settings.runs.timeout_s)
    return RunService(session, caller, state.run_parts, timeout_s=timeout)


async def _starter(connection: HTTPConnection, caller: CanExecute, key: Sealing) -> Starter:
    state = connection.app.state
    return Starter(
        parts=state.run_parts,
        master_key=key,
        tools=state.tools,
        launcher=state.launcher,
        caller=caller,
    )


Checking = Annotated[Checks, Depends(_checks)]
Reader = Annotated[TaskService, Depends(_reader)]
Writer = Annotated[TaskService, Depends(_writer)]
Runs = Annotated[RunService, Depends(_runs)]
Start = Annotated[Starter, Depends(_starter)]


async def _change(
    caller: CanWrite, database: Db, tasks: Writer, checks: Checking, key: Sealing
) -> Callable[[str, TaskPatch], Awaitable[TaskOut]]:
    async def change(task_id: str, body: TaskPatch) -> TaskOut:
        given = body.changes()
        # Before the first statement of the unit of work: tools are looked for by themselves.
        async with database.read() as session:
            before = await TaskService(session, caller, key).get(task_id)
        told = {name: value for name, value in given.items() if name != "status"}
        of_tools = await checks.of(caller.project_id, changed_definition(before, told))
        return await tasks.shown(await tasks.change(task_id, given), of_tools)

    return change


Change = Annotated[Callable[[str, TaskPatch], Awaitable[TaskOut]], Depends(_change)]

_CHANGES = problems(TaskNotFound, TaskAtWork, TaskNotReady, TaskSecretsRefused)


@router.get("", response_model=Page[TaskOut])
async def list_tasks(tasks: Reader, params: Annotated[TaskList, Query()]) -> Rows[TaskOut]:
    """List the tasks of the project, newest first. `configuration_status` is left to `get`."""
    return await tasks.list(params)


@router.post("", status_code=201, responses=problems(TaskSecretsRefused))
async def create_task(
    caller: CanWrite, tasks: Writer, checks: Checking, body: TaskCreate
) -> TaskOut:
    """Create a task.

    With an agent it is `pending`: it is run when the agent is started, by priority, deadline and
    age. Without one it is a `draft`. A task that names what is not there is saved all the same;
    `configuration_status` says what it lacks, and running it is refused until that is there.
    """
    of_tools = await checks.of(caller.project_id, body)
    return await tasks.shown(await tasks.create(body, body.status), of_tools)


@router.get("/stats")
async def get_task_stats(tasks: Reader) -> TaskStats:
    """Count the tasks of the project by status and by priority, and those that are overdue."""
    return await tasks.stats()


@router.get("/{task_id}", responses=problems(TaskNotFound))
async def get_task(tasks: Reader, checks: Checking, task_id: str) -> TaskOut:
    """Get a task with its result, and whether it can be run."""
    task = await tasks.get(task_id)
    return await tasks.shown(task, await checks.of_stored(task))


@router.put("/{task_id}", responses=_CHANGES)
async def update_task(change: Change, task_id: str, body: TaskPatch) -> TaskOut:
    """Change the given fields of a task; the others keep their values.

    A draft that is given an agent is in its queue from then on. `status` takes `draft` and
    `pending`, so that a task that has ended can be put back into the queue.
    """
    return await change(task_id, body)


@router.patch("/{task_id}", responses=_CHANGES)
async def patch_task(change: Change, task_id: str, body: TaskPatch) -> TaskOut:
    """Change the given fields of a task; the others keep their values.

    A draft that is given an agent is in its queue from then on. `status` takes `draft` and
    `pending`, so that a task that has ended can be put back into the queue.
    """
    return await change(task_id, body)


@router.put("/{task_id}/full", responses=_CHANGES)
async def replace_task(
    caller: CanWrite, tasks: Writer, checks: Checking, task_id: str, body: TaskReplace
) -> TaskOut:
    """Replace the whole definition of a task; what is left out gets its default.

    Its status and result stay as they are.
    """
    of_tools = await checks.of(caller.project_id, body)
    return await tasks.shown(await tasks.replace(task_id, body), of_tools)


@router.delete("/{task_id}", status_code=204, responses=problems(TaskNotFound, TaskAtWork))
async def delete_task(tasks: Writer, task_id: str) -> None:
    """Delete a task. Its runs stay; one that is under way has to be cancelled before."""
    await tasks.delete(task_id)


@router.post("/{task_id}/cancel", responses=problems(TaskNotFound, TaskEnded, TaskAtWork))
async def cancel_task(
    caller: CanCancel,
    database: Db,
    session: Writing,
    key: Sealing,
    runs: Runs,
    checks: Checking,
    task_id: str,
    body: TaskCancelRequest | None = None,
) -> TaskOut:
    """End a task; a run of it that is under way is ended at once.

    One that was cancelled already stays as it is.
    """
    async with database.read() as reading:
        before = await TaskService(reading, caller, key).get(task_id)
    of_tools = await checks.of_stored(before)
    tasks = TaskService(session, caller, key)
    task = await tasks.cancel(task_id, runs, body.reason if body else None)
    return await tasks.shown(task, of_tools)


@router.post(
    "/{task_id}/run", status_code=202, responses=problems(TaskNotFound, TaskNotReady, TaskAtWork)
)
async def run_task(
    starter: Start, task_id: str, body: TaskRunRequest | None = None
) -> TaskRunStarted:
    """Run a task now and answer at once, whether its agent is started or not.

    A task that lacks something is a 409 that names what is missing. One that has ended is run
    again; its result is that of the last run.
    """
    return await starter.run(task_id, body or TaskRunRequest())


@router.get(
    "/{task_id}/history", response_model=Page[ExecutionOut], responses=problems(TaskNotFound)
)
async def get_task_history(
    tasks: Reader, task_id: str, params: Annotated[ListParams, Query()]
) -> Rows[ExecutionOut]:
    """List the runs of a task, newest first."""
    rows = await tasks.history(task_id, params)
    shown = [present(run) for run in rows.items]
    return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)
