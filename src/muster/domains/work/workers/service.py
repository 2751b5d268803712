"""What one can do with worker nodes. Knows nothing of HTTP."""

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.tasks import TaskLeases
from muster.domains.work.workers.errors import WorkerNameTaken
from muster.domains.work.workers.events import (
    WorkerDeleted,
    WorkerOnline,
    WorkerRegistered,
    WorkerUpdated,
)
from muster.domains.work.workers.models import ONLINE_FOR, WorkerNode
from muster.domains.work.workers.repository import WorkerRepository, agents_of, executors
from muster.domains.work.workers.schemas import (
    Capacity,
    ExecutorOut,
    FleetOverview,
    Heartbeat,
    RegisteredWorker,
    Usage,
    UtilizationPage,
    WorkerList,
    WorkerOut,
    WorkerRegister,
    WorkerUtilization,
)
from muster.kernel import clock
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller


class WorkerService:
    """Use cases of worker nodes, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._workers = WorkerRepository(session, caller.project_id)

    async def list(self, params: WorkerList) -> Rows[WorkerOut]:
        return await shown(self._session, await self._workers.search(params))

    async def get(self, worker_id: str) -> WorkerOut:
        return await self._shown(await self._workers.get(worker_id))

    async def register(self, body: WorkerRegister) -> RegisteredWorker:
        """Make the worker with a name, or change what is known of it.

        Of many that register one name at once, one makes it.
        """
        values = body.model_dump()
        row = await self._workers.find_name(body.name)
        if row is None:
            try:
                async with self._session.begin_nested():
                    row = await self._workers.add(
                        **values, registered_by_id=self._caller.key_id or self._caller.id
                    )
            except WorkerNameTaken:
                row = await self._workers.find_name(body.name)
            else:
                fact = WorkerRegistered(worker_id=row.id, name=row.name, hostname=row.hostname)
                events.record(self._session, self._caller, fact)
                return await self._registered(row, created=True)
        if row is None:
            raise WorkerNameTaken("It was deleted at the same moment; register it again.")
        changed = sorted(name for name, value in values.items() if value != getattr(row, name))
        if changed:
            await self._workers.update(row, **{name: values[name] for name in changed})
            fact = WorkerUpdated(worker_id=row.id, name=row.name, changed=changed)
            events.record(self._session, self._caller, fact)
        return await self._registered(row, created=False)

    async def heartbeat(self, worker_id: str, body: Heartbeat) -> WorkerOut:
        """Note a sign of life; the first one after a silence is an event."""
        row = await self._workers.held(worker_id)
        comes = not row.told_online
        await self._workers.update(
            row, **body.model_dump(), heartbeat_at=clock.now(), told_online=True
        )
        if comes:
            fact = WorkerOnline(worker_id=row.id, name=row.name)
            events.record(self._session, self._caller, fact)
        await TaskLeases(self._session, self._caller).renew(row.id)
        return await self._shown(row)

    async def delete(self, worker_id: str) -> None:
        """Forget a worker; agents that are bound to it stay, and name one that is not there."""
        row = await self._workers.held(worker_id)
        await TaskLeases(self._session, self._caller).give_back(row.id, "The worker was deleted")
        await self._workers.delete(row)
        fact = WorkerDeleted(worker_id=row.id, name=row.name)
        events.record(self._session, self._caller, fact)

    async def overview(self) -> FleetOverview:
        """Return the workers of the project in figures, and the platform's own processes."""
        moment = clock.now()
        figures = await self._workers.figures(moment)
        agents = await self._workers.agents_at_work(moment)
        places = int(figures["places"])
        processes = [
            ExecutorOut(
                kind="executor",
                id=row.id,
                hostname=row.host if self._caller.is_admin else None,
                status="online" if moment - row.heartbeat_at <= ONLINE_FOR else "offline",
                version=row.version,
                max_runs=row.concurrency,
                started_at=row.started_at,
                last_heartbeat_at=row.heartbeat_at,
            )
            for row in await executors(self._session)
        ]
        return FleetOverview(
            total=figures["total"],
            online=figures["online"],
            offline=figures["total"] - figures["online"],
            approved=figures["approved"],
            pending_approval=figures["pending_approval"],
            rejected=figures["rejected"],
            capacity=Capacity(max_agents=places, agents=agents, free=max(places - agents, 0)),
            mean_usage=_mean(figures),
            executors=processes,
        )

    async def utilization(self, params: ListParams) -> UtilizationPage:
        """Return how busy the workers are now."""
        rows = await self._workers.by_name(params)
        agents = await agents_of(self._session, rows.items)
        figures = await self._workers.figures(clock.now())
        items = [
            WorkerUtilization(
                id=row.id,
                name=row.name,
                group=row.group,
                status="online" if row.is_online() else "offline",
                agents=agents.get(row.id, 0),
                max_agents=row.max_agents,
                cpu_usage_percent=row.cpu_usage_percent,
                memory_usage_percent=row.memory_usage_percent,
                disk_usage_percent=row.disk_usage_percent,
                last_heartbeat_at=row.heartbeat_at,
            )
            for row in rows.items
        ]
        return UtilizationPage(
            items=items,
            total=figures["total"],
            limit=rows.limit,
            offset=rows.offset,
            has_more=rows.has_more,
            mean_usage=_mean(figures),
            online=figures["online"],
        )

    async def _shown(self, row: WorkerNode) -> WorkerOut:
        agents = await agents_of(self._session, [row])
        return WorkerOut.of(row, agents.get(row.id, 0))

    async def _registered(self, row: WorkerNode, *, created: bool) -> RegisteredWorker:
        found = await self._shown(row)
        status = "created" if created else "updated"
        return RegisteredWorker(**found.model_dump(), registration_status=status)


async def shown(session: AsyncSession, rows: Rows[WorkerNode]) -> Rows[WorkerOut]:
    """Return a page of workers as they are shown."""
    agents = await agents_of(session, rows.items)
    items = [WorkerOut.of(row, agents.get(row.id, 0)) for row in rows.items]
    return Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)


def _mean(figures: dict[str, float | None]) -> Usage:
    def rounded(name: str) -> float | None:
        value = figures[name]
        return None if value is None else round(value, 2)

    return Usage(
        cpu_usage_percent=rounded("cpu"),
        memory_usage_percent=rounded("memory"),
        disk_usage_percent=rounded("disk"),
    )
