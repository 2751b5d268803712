"""Running a task on demand: decided in one unit of work, launched after it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from muster.domains.work.journal import IllegalRunMove
from muster.domains.work.plans import Launcher, Target
from muster.domains.work.runs import RunNotFound, RunParts, RunService
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.readiness import TaskProblem, ToolChecks, tool_problems
from muster.domains.work.tasks.repository import TaskRepository, find_run
from muster.domains.work.tasks.schemas import TaskRunRequest, TaskRunStarted
from muster.domains.work.tasks.service import TaskService
from muster.domains.work.tasks.statuses import TaskStatus
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import AppError
from muster.kernel.ids import new_id
from muster.platform.access import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Runs tasks on demand, for one caller. Holds no session while the run is launched."""

    parts: RunParts
    master_key: MasterKey
    tools: ToolChecks
    launcher: Launcher
    caller: Caller

    async def run(self, task_id: str, body: TaskRunRequest) -> TaskRunStarted:
        """Run a task now, whether its agent is started or not; answers as soon as the run exists.

        What keeps it from being run leaves the task as it was.
        """
        database = self.parts.database
        of_tools = await self._tool_problems(task_id)
        run_id = new_id()
        async with database.write() as session:
            tasks = TaskService(session, self.caller, self.master_key)
            task = await tasks.get(task_id)
            await tasks.require_ready(task, of_tools)
            before = {"status": task.status, "last_run_id": task.last_run_id}
            inputs = {**task.inputs, **body.inputs}
            await tasks.claim(task_id, run_id=run_id, inputs=inputs, model=body.model)
        try:
            await launch(
                self.launcher,
                self.caller,
                task_id=task_id,
                run_id=run_id,
                inputs=inputs,
                model=body.model,
                origin="start",
            )
        except AppError:
            await self._give_up(task_id, run_id, before)
            raise
        await end_if_cancelled(self.parts, self.caller, task_id, run_id)
        async with database.read() as session:
            run = await find_run(session, self.caller.project_id, run_id)
        return TaskRunStarted(
            execution_id=run_id,
            task_id=task_id,
            status=run.status if run else "pending",
            message="Task started",
            run_name=run.name if run else task.name,
        )

    async def _tool_problems(self, task_id: str) -> Sequence[TaskProblem]:
        async with self.parts.database.read() as session:
            task = await TaskService(session, self.caller, self.master_key).get(task_id)
        spec = task.spec
        return await tool_problems(
            self.tools, self.caller.project_id, spec["tools"], spec["tool_configs"]
        )

    async def _give_up(self, task_id: str, run_id: str, before: dict[str, Any]) -> None:
        claimed = (
            update(Task)
            .where(Task.id == task_id, Task.last_run_id == run_id, Task.claimed_at.is_not(None))
            .execution_options(synchronize_session=False)
        )
        still = claimed.where(Task.status == TaskStatus.PENDING.value)
        async with self.parts.database.write() as session:
            await session.execute(
                still.values(**before, claimed_at=None, run_inputs=None, run_model=None)
            )
            await session.execute(claimed.values(claimed_at=None))


async def launch(
    launcher: Launcher,
    caller: Caller,
    *,
    task_id: str,
    run_id: str,
    inputs: dict[str, Any],
    model: str | None,
    origin: str,
) -> None:
    """Start the run that was decided on."""
    target = Target("task", task_id)
    if model is None:
        await launcher.launch(caller, target, inputs, run_id=run_id, origin=origin)
    else:
        await launcher.launch(caller, target, inputs, run_id=run_id, origin=origin, model=model)


async def end_if_cancelled(parts: RunParts, caller: Caller, task_id: str, run_id: str) -> None:
    """End the run of a task that was cancelled or deleted before there was a run to end."""
    async with parts.database.read() as session:
        task = await TaskRepository(session, caller.project_id).find(task_id)
    if task is not None and task.status != TaskStatus.CANCELLED:
        return
    async with parts.database.write() as session:
        runs = RunService(session, caller, parts, timeout_s=0)
        with suppress(RunNotFound, IllegalRunMove):
            await runs.cancel(run_id, "The task was cancelled")
        await session.execute(
            update(Task)
            .where(
                Task.id == task_id,
                Task.last_run_id == run_id,
                Task.status == TaskStatus.CANCELLED.value,
            )
            .values(claimed_at=None)
            .execution_options(synchronize_session=False)
        )
