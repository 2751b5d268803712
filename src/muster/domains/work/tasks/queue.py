"""The queue of tasks: those of agents that are started are run, the urgent ones first.

A task is claimed by one guarded statement together with the id that its run will have; any number
of processes may look at once. The run is launched after that, and launching is idempotent by this
id: a process that dies in between leaves a claim whose run was never made, and any other launches
it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL, Agent, hold_agent
from muster.domains.work.journal import Run
from muster.domains.work.plans import Launcher
from muster.domains.work.runs import RunParts
from muster.domains.work.tasks.following import TOPIC, failed
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.repository import of_agent
from muster.domains.work.tasks.starting import end_if_cancelled, launch
from muster.domains.work.tasks.statuses import TaskStatus
from muster.kernel import clock
from muster.kernel.errors import AppError
from muster.kernel.ids import new_id
from muster.kernel.logging import get_logger
from muster.platform.access import Caller
from muster.platform.projects import acting_caller

_NAME = "task queue"
_POLL_S = 2.0
_LAUNCHED_WITHIN = timedelta(seconds=15)
_AGENTS_AT_ONCE = 200
_LAPSED_AT_ONCE = 100
_SERVER_ERROR, _TOO_MANY = 500, 429
_MOST_AT_ONCE = 1_000

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A task whose run is decided on."""

    task_id: str
    project_id: str
    run_id: str
    inputs: dict[str, Any]
    model: str | None
    user_id: str
    key_id: str | None

    @classmethod
    def of(cls, task: Task) -> "Claim":
        """Return what a claimed task is to be launched with."""
        return cls(
            task_id=task.id,
            project_id=task.project_id,
            run_id=str(task.last_run_id),
            inputs=task.inputs if task.run_inputs is None else task.run_inputs,
            model=task.run_model,
            user_id=task.acting_user_id,
            key_id=task.acting_key_id,
        )


class TaskQueue:
    """Takes tasks from the queues of all agents that are started.

    Args:
        parts: The parts of the process that runs need.
        launcher: Starts the runs.
        launched_within: After which time a claim without a run counts as forgotten.
    """

    def __init__(
        self,
        parts: RunParts,
        launcher: Launcher,
        *,
        launched_within: timedelta = _LAUNCHED_WITHIN,
    ) -> None:
        self._parts, self._launcher = parts, launcher
        self._database = parts.database
        self._launched_within = launched_within

    async def run(self) -> None:
        """Look when something has changed, and every few seconds, until cancelled."""
        async with self._parts.live.subscribe(TOPIC) as told:
            while True:
                try:
                    await self.once()
                except Exception:
                    logger.exception("task_queue_failed")
                await told.get(_POLL_S)

    async def once(self) -> int:
        """Start what can be started now; returns how many runs that were."""
        claims = await self._forgotten()
        for agent_id in await self._agents_with_work():
            claims += await self._claim(agent_id)
        started = 0
        for claim in claims:
            started += await self._launch(claim)
        return started

    async def _agents_with_work(self) -> Sequence[str]:
        """Return the started agents that have tasks to take; a look that holds nothing up."""
        free = select(Task.id).where(Task.project_id == Agent.project_id, _free())
        theirs = free.where(Task.agent_id == Agent.id)
        # Apart from the others, so that each half finds its tasks by the index.
        named = Task.agent_reference.in_((Agent.id, Agent.key, Agent.name))
        nobodys = free.where(Task.agent_id.is_(None), named)
        has_work = or_(theirs.exists(), nobodys.exists())
        statement = (
            select(Agent)
            .where(Agent.is_started, Agent.deleted_at.is_(None), has_work)
            .order_by(Agent.id)
            .limit(_AGENTS_AT_ONCE)
        )
        async with self._database.read() as session:
            agents = (await session.scalars(statement)).all()
            return [a.id for a in agents if takes_tasks(a) and await _room(session, a) > 0]

    async def _claim(self, agent_id: str) -> list[Claim]:
        async with self._database.write() as session:
            # Whoever claims for an agent has it: two who count at once would both find room.
            agent = await hold_agent(session, agent_id)
            if agent is None or not takes_tasks(agent):
                return []
            room = await _room(session, agent)
            if room <= 0:
                return []
            due = (
                select(Task.id)
                .where(Task.project_id == agent.project_id, of_agent(agent), _free())
                .order_by(
                    Task.rank, Task.deadline.is_(None), Task.deadline, Task.created_at, Task.id
                )
                .limit(room)
                .with_for_update(skip_locked=True)
            )
            ids = (await session.scalars(due)).all()
            taken = [await _take(session, task_id, agent.id) for task_id in ids]
            return [Claim.of(task) for task in taken if task is not None]

    async def _forgotten(self) -> list[Claim]:
        """Take up claims whose run was never made: whoever claimed them is gone."""
        before = clock.now() - self._launched_within
        lapsed = (
            select(Task)
            .outerjoin(Run, Run.id == Task.last_run_id)
            .where(
                Task.claimed_at < before,
                or_(Run.id.is_(None), Task.status == TaskStatus.CANCELLED.value),
            )
            .order_by(Task.claimed_at)
            .limit(_LAPSED_AT_ONCE)
        )
        async with self._database.read() as session:
            found = (await session.scalars(lapsed)).all()
        for task in found:
            if task.status == TaskStatus.CANCELLED:
                caller = Caller.system(task.project_id, _NAME)
                await end_if_cancelled(self._parts, caller, task.id, str(task.last_run_id))
        again = [task for task in found if task.status == TaskStatus.PENDING]
        if not again:
            return []
        async with self._database.write() as session:
            taken = [await _take_again(session, task.id, task.claimed_at) for task in again]
            return [Claim.of(task) for task in taken if task is not None]

    async def _launch(self, claim: Claim) -> bool:
        async with self._database.read() as session:
            caller = await acting_caller(session, claim.project_id, claim.user_id, claim.key_id)
        if caller is None:
            message = "Whoever queued the task may not run anything in this project any more."
            await self._fail(claim, {"code": "task_not_permitted", "message": message})
            return False
        try:
            await launch(
                self._launcher,
                caller,
                task_id=claim.task_id,
                run_id=claim.run_id,
                inputs=claim.inputs,
                model=claim.model,
                origin="queue",
            )
        except AppError as error:
            if error.status >= _SERVER_ERROR or error.status == _TOO_MANY:
                logger.warning("task_not_launched", task_id=claim.task_id, code=error.code)
            else:
                await self._fail(claim, {"code": error.code, "message": error.detail})
            return False
        except Exception:
            # The claim stays, and is taken up again.
            logger.exception("task_not_launched", task_id=claim.task_id)
            return False
        await end_if_cancelled(self._parts, caller, claim.task_id, claim.run_id)
        return True

    async def _fail(self, claim: Claim, error: dict[str, Any]) -> None:
        caller = Caller.system(claim.project_id, _NAME)
        async with self._database.write() as session:
            task = await session.get(Task, claim.task_id, with_for_update=True)
            if task is None or task.claimed_at is None or task.last_run_id != claim.run_id:
                return
            if task.status == TaskStatus.PENDING:
                failed(session, caller, task, error)
            task.claimed_at = None


def takes_tasks(agent: Agent) -> bool:
    """Tell whether an agent takes tasks from its queue here.

    Not those that run elsewhere, nor those of a worker, which pulls their tasks itself.
    """
    elsewhere = agent.kind == EXTERNAL or bool(agent.spec.get("worker_id"))
    return agent.is_started and agent.is_active and not elsewhere


def limit_of(agent: Agent) -> int:
    """Return how many tasks of its queue an agent works at once."""
    metadata: dict[str, Any] = agent.spec.get("metadata") or {}
    limit = metadata.get("max_concurrent_tasks")
    if isinstance(limit, int) and not isinstance(limit, bool):
        return min(max(limit, 1), _MOST_AT_ONCE)
    return 1


async def _room(session: AsyncSession, agent: Agent) -> int:
    """Return how many more tasks an agent may take; one that waits for a person is not counted."""
    at_work = or_(Task.status == TaskStatus.RUNNING.value, Task.claimed_at.is_not(None))
    statement = select(func.count()).where(Task.agent_id == agent.id, at_work)
    return limit_of(agent) - (await session.scalar(statement) or 0)


def _free() -> ColumnElement[bool]:
    # Those of a crew are run by their crew, in its order.
    mine = Task.crew_id.is_(None)
    return and_(Task.status == TaskStatus.PENDING.value, Task.claimed_at.is_(None), mine)


async def _take(session: AsyncSession, task_id: str, agent_id: str) -> Task | None:
    claim = (
        update(Task)
        .where(Task.id == task_id, _free())
        .values(
            last_run_id=new_id(),
            claimed_at=clock.now(),
            agent_id=agent_id,
            run_inputs=None,
            run_model=None,
        )
        .returning(Task)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    taken: Task | None = await session.scalar(claim)
    return taken


async def _take_again(
    session: AsyncSession, task_id: str, claimed_at: datetime | None
) -> Task | None:
    again = (
        update(Task)
        .where(
            Task.id == task_id,
            Task.claimed_at == claimed_at,
            Task.status == TaskStatus.PENDING.value,
        )
        .values(claimed_at=clock.now())
        .returning(Task)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    taken: Task | None = await session.scalar(again)
    return taken
