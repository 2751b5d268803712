"""What one can do with tasks. Knows nothing of HTTP."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.work.journal import IllegalRunMove, Run
from muster.domains.work.runs import RunNotFound
from muster.domains.work.tasks.errors import (
    TaskAtWork,
    TaskEnded,
    TaskNotReady,
)
from muster.domains.work.tasks.events import TaskCreated, TaskDeleted, TaskUpdated
from muster.domains.work.tasks.following import cancelled, facts_of, wake_queue
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.presenting import present
from muster.domains.work.tasks.readiness import TaskProblem, configuration_status, find_agent
from muster.domains.work.tasks.repository import TaskRepository
from muster.domains.work.tasks.schemas import TaskList, TaskOut, TaskStats
from muster.domains.work.tasks.secrets import TaskSecrets
from muster.domains.work.tasks.spec import TaskDefinition, changed_definition
from muster.domains.work.tasks.statuses import TaskPriority, TaskStatus
from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import FieldError, Invalid
from muster.kernel.ids import new_id
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller

_SETTABLE = (TaskStatus.DRAFT, TaskStatus.PENDING)


class CancelRun(Protocol):
    """Ends a run at once, in the unit of work."""

    async def cancel(self, run_id: str, reason: str | None) -> Run: ...


class TaskService:
    """Use cases of tasks, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, master_key: MasterKey) -> None:
        self._session, self._caller = session, caller
        self._tasks = TaskRepository(session, caller.project_id)
        self._secrets = TaskSecrets(session, caller, master_key)

    async def list(self, params: TaskList) -> Rows[TaskOut]:
        wanted = await self._find_agent(params.agent_id)
        rows = await self._tasks.search(params, wanted)
        agents = await self._tasks.agents({t.agent_id for t in rows.items if t.agent_id})
        shown = [present(task, agents.get(task.agent_id or "")) for task in rows.items]
        return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)

    async def get(self, task_id: str) -> Task:
        return await self._tasks.get(task_id)

    async def shown(self, task: Task, of_tools: Sequence[TaskProblem]) -> TaskOut:
        """Return a task as the API shows it, with its status of configuration."""
        agent = await self._agent_of(task)
        status = await configuration_status(self._session, task, agent, of_tools)
        return present(task, agent, status)

    async def require_ready(self, task: Task, of_tools: Sequence[TaskProblem]) -> None:
        """Raise `TaskNotReady` with what is missing unless the task can be run."""
        agent = await self._agent_of(task)
        status = await configuration_status(self._session, task, agent, of_tools)
        if not status.is_ready:
            raise TaskNotReady(
                f"The task {task.name} cannot run yet: "
                + " ".join(problem.message for problem in status.problems),
                errors=[FieldError(p.field, p.message) for p in status.problems],
                details={"problems": [p.model_dump() for p in status.problems]},
            )

    async def create(self, definition: TaskDefinition, status: TaskStatus | None = None) -> Task:
        """Make a task; one that names an agent is in its queue, unless it is to be a draft."""
        task_id = new_id()
        held_back = status is TaskStatus.DRAFT or not definition.agent
        task = await self._tasks.add(
            id=task_id,
            **await self._columns(task_id, definition),
            status=(TaskStatus.DRAFT if held_back else TaskStatus.PENDING).value,
            created_by_id=self._caller.key_id or self._caller.id,
            created_by_name=self._caller.name,
        )
        events.record(self._session, self._caller, TaskCreated(**facts_of(task)))
        wake_queue(self._session)
        return task

    async def change(self, task_id: str, changes: dict[str, Any]) -> Task:
        """Change the given fields; raises when the result is no valid definition."""
        task = await self._tasks.held(task_id)
        given = dict(changes)
        status = _read_status(task, given.pop("status")) if "status" in given else None
        return await self._store(task, changed_definition(task, given), status)

    async def replace(self, task_id: str, definition: TaskDefinition) -> Task:
        """Replace the whole definition."""
        return await self._store(await self._tasks.held(task_id), definition, None)

    async def _store(
        self, task: Task, definition: TaskDefinition, status: TaskStatus | None
    ) -> Task:
        columns = await self._columns(task.id, definition)
        gained = bool(definition.agent) and not task.agent_reference
        if status is None and not task.is_at_work:
            if task.status == TaskStatus.DRAFT and gained:
                status = TaskStatus.PENDING
            elif task.status == TaskStatus.PENDING and not definition.agent:
                status = TaskStatus.DRAFT
        if status is not None:
            if status is TaskStatus.PENDING and not definition.agent:
                raise TaskNotReady("Only a task with an agent has a queue; set agent first.")
            columns |= {"status": status.value, "completed_at": None}
        acting = ("acting_user_id", "acting_key_id")
        changed = {n: v for n, v in columns.items() if getattr(task, n) != v and n not in acting}
        if not changed:
            return task
        told = _told(task, columns)
        await self._tasks.update(task, **columns)
        fact = TaskUpdated(**facts_of(task), changed=told)
        events.record(self._session, self._caller, fact)
        wake_queue(self._session)
        return task

    async def delete(self, task_id: str) -> None:
        """Delete a task; its runs stay."""
        task = await self._tasks.held(task_id)
        if task.is_at_work:
            raise TaskAtWork
        await self._secrets.drop(task)
        await self._tasks.delete(task)
        events.record(self._session, self._caller, TaskDeleted(**facts_of(task)))

    async def cancel(self, task_id: str, runs: CancelRun, reason: str | None) -> Task:
        """End a task, and its run at once. One that is cancelled already stays as it is."""
        task = await self._tasks.get(task_id)
        being_launched, run_id = False, task.last_run_id
        if task.is_at_work and run_id:
            # First the run: whoever ends a run has it before its task.
            try:
                await runs.cancel(run_id, reason)
            except RunNotFound:
                being_launched = True
            except IllegalRunMove:
                pass  # it has come to its end by itself in this moment
        task = await self._tasks.held(task_id)
        if task.status == TaskStatus.CANCELLED:
            return task
        if task.is_final:
            raise TaskEnded(f"The task is {task.status}; run it again or delete it.")
        if task.lease_until is not None and task.last_run_id != run_id:
            raise TaskAtWork("A worker has claimed it in this moment; cancel it again.")
        claimed_at = task.claimed_at if being_launched else None
        cancelled(self._session, self._caller, task, reason)
        # Whoever claimed it sees by this that the run is to be ended as soon as there is one.
        return await self._tasks.update(task, claimed_at=claimed_at)

    async def claim(
        self, task_id: str, *, run_id: str, inputs: dict[str, Any], model: str | None
    ) -> Task:
        """Decide that a run of the task begins; until it does, nobody else begins one."""
        task = await self._tasks.held(task_id)
        if task.is_at_work:
            raise TaskAtWork("A run of the task is under way; wait for its end, or cancel it.")
        return await self._tasks.update(
            task,
            status=TaskStatus.PENDING.value,
            last_run_id=run_id,
            claimed_at=clock.now(),
            run_inputs=inputs,
            run_model=model,
            acting_user_id=self._caller.id,
            acting_key_id=self._caller.key_id,
        )

    async def stats(self) -> TaskStats:
        """Count the tasks of the project."""
        by_status = await self._tasks.counts(Task.status)
        by_priority = await self._tasks.counts(Task.priority)
        return TaskStats(
            total=sum(by_status.values()),
            by_status={status: by_status.get(status.value, 0) for status in TaskStatus},
            by_priority={level: by_priority.get(level.value, 0) for level in TaskPriority},
            overdue=await self._tasks.count_overdue(),
        )

    async def history(self, task_id: str, params: ListParams) -> Rows[Run]:
        return await self._tasks.runs(await self._tasks.get(task_id), params)

    async def _agent_of(self, task: Task) -> Agent | None:
        return await self._find_agent(task.agent_id or task.agent_reference)

    async def _find_agent(self, reference: str | None) -> Agent | None:
        return await find_agent(self._session, self._caller.project_id, reference)

    async def _columns(self, task_id: str, definition: TaskDefinition) -> dict[str, Any]:
        spec, kept = definition.spec(), definition.kept()
        configs = {
            tool: await self._secrets.seal(config, task_id, tool)
            for tool, config in spec.tool_configs.items()
        }
        spec = spec.model_copy(update={"tool_configs": configs})
        if "callback_config" in kept:
            kept["callback_config"] = await self._secrets.seal(
                kept["callback_config"], task_id, "callback"
            )
            if "callback_config" in kept.get("config", {}):
                kept["config"] = {**kept["config"], "callback_config": kept["callback_config"]}
        agent = await self._find_agent(definition.agent)
        return {
            "name": definition.name,
            "key": definition.key,
            "description": definition.description,
            "agent_reference": definition.agent,
            "agent_id": agent.id if agent else None,
            "crew_id": definition.crew_id,
            "priority": definition.priority.value,
            "rank": definition.priority.rank,
            "deadline": definition.deadline,
            "spec": spec.model_dump(mode="json"),
            "kept": kept,
            "inputs": definition.inputs,
            "acting_user_id": self._caller.id,
            "acting_key_id": self._caller.key_id,
        }


def _read_status(task: Task, given: Any) -> TaskStatus | None:
    """Return the status that a task is to have; None where it has it."""
    name = given.strip().lower() if isinstance(given, str) else given
    if name is None or name == task.status:
        return None
    if name not in [status.value for status in _SETTABLE]:
        text = "status takes draft and pending; /run runs a task and /cancel ends it."
        raise Invalid(text, errors=[FieldError("status", text)])
    if task.is_at_work:
        raise TaskAtWork
    return TaskStatus(name)


def _told(task: Task, columns: dict[str, Any]) -> list[str]:
    """Return the names of the fields that a change changes."""
    before, after = {**task.spec, **task.kept}, {**columns["spec"], **columns["kept"]}
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    for name in ("priority", "deadline", "crew_id", "inputs", "status"):
        if name in columns and getattr(task, name) != columns[name]:
            names.add(name)
    return sorted(names)
