"""The tables of DBOS: everything the engine asks of them, off the event loop.

Submitting, cancelling, listing and deleting use DBOS's client. Three things have no public name,
and for them the release of DBOS is pinned: claiming from the queue for a given number of slots,
finding the head of every partition, and putting back the jobs of a dead executor only while they
are still its own (`resume_workflow` would also take a job from the process that has just recovered
it, and leave one that was started at once without a partition).
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from dbos import DBOSClient, EnqueueOptions
from dbos._serialization import DBOSPortableJSON
from sqlalchemy.exc import DBAPIError

from muster.engine.connection import create_engine
from muster.engine.jobs import Job
from muster.engine.options import EngineOptions
from muster.kernel import clock
from muster.kernel.ids import new_id

APPLICATION = "muster"
SCHEMA = "dbos"
QUEUE = "muster"
WORKFLOW = "muster.job"

_WAITING = ["ENQUEUED", "DELAYED"]
_UNFINISHED = [*_WAITING, "PENDING"]
_FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_THREADS = 4
_CHUNK = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """A partition in which a job waits, and the priority of its first one."""

    partition: str
    priority: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is now this executor's: DBOS's row of it and the token of ownership."""

    job: Job
    attempts: int
    row: dict[str, Any]
    owner: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A job that some executor has claimed."""

    job_id: str
    executor_id: str | None
    attempts: int


class SystemDatabase:
    """DBOS's tables in SQLite or PostgreSQL, created and migrated when opened."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self.engine = create_engine(options.system_database_url)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="muster-engine")

    @property
    def url(self) -> str:
        """The address, with its password."""
        return self.engine.url.render_as_string(hide_password=False)

    async def open(self) -> None:
        """Connect, bring the schema up to date and declare the queue."""
        await self._call(self._open)

    def _open(self) -> None:
        self._client = DBOSClient(
            system_database_engine=self.engine,
            dbos_system_schema=SCHEMA,
            serializer=DBOSPortableJSON,
            application_name=APPLICATION,
            # An unreachable database is an error to the caller and not a thread that never ends.
            retry_connection_errors=False,
        )
        self._tables: Any = self._client._sys_db  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._tables.run_migrations()
        limit = self._options.rate_limit
        self._queue: Any = self._client.register_queue(
            QUEUE,
            worker_concurrency=self._options.concurrency,
            partition_worker_concurrency=self._partition_bound(),
            partition_limiter={"limit": limit[0], "period": limit[1]} if limit else None,
            polling_interval_sec=self._options.poll_s,
        )
        self._heads_statement = _heads_statement(
            self._tables.tables.workflow_status, self._options.app_version
        )

    def _partition_bound(self) -> int:
        # Always set: it is also what makes the queue a partitioned one.
        bound = self._options.partition_concurrency or self._options.concurrency
        return min(bound, self._options.concurrency)

    def close(self) -> None:
        """Drop the connections. A statement that still runs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.engine.dispose()

    async def _call(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def enqueue(self, job: Job) -> None:
        """Store a job; one with the same id that is there already stays as it is."""
        await self._call(self._enqueue, job)

    def _enqueue(self, job: Job) -> None:
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": job.id,
            "app_version": self._options.app_version,
            "priority": job.priority,
            "queue_partition_key": job.partition,
        }
        if job.delay_s > 0:
            options["delay_seconds"] = job.delay_s
        self._client.enqueue(options, job.to_json())

    async def unfinished(self, job_ids: Collection[str]) -> set[str]:
        """Return which of these jobs wait or are executed."""
        return await self._call(self._with_status, job_ids, _UNFINISHED)

    async def waiting(self, job_ids: Collection[str]) -> set[str]:
        """Return which of these jobs wait."""
        return await self._call(self._with_status, job_ids, _WAITING)

    def _with_status(self, job_ids: Collection[str], status: list[str]) -> set[str]:
        found: set[str] = set()
        for chunk in _chunks(job_ids):
            rows = self._client.list_workflows(
                workflow_ids=chunk, status=status, load_input=False, load_output=False
            )
            found.update(row.workflow_id for row in rows)
        return found

    async def cancel(self, job_ids: Collection[str]) -> None:
        """End these jobs for DBOS, whether they wait or are claimed."""
        if job_ids:
            await self._call(self._client.cancel_workflows, list(job_ids))

    async def all_waiting(self) -> set[str]:
        """Return every job that waits."""
        return await self._call(self._all_waiting)

    def _all_waiting(self) -> set[str]:
        rows = self._client.list_workflows(
            status=_WAITING, name=WORKFLOW, load_input=False, load_output=False
        )
        return {row.workflow_id for row in rows}

    async def jobs(self, job_ids: Collection[str]) -> list[Job]:
        """Read these jobs again."""
        return await self._call(self._jobs, job_ids)

    def _jobs(self, job_ids: Collection[str]) -> list[Job]:
        return [
            Job.from_json(row.input["args"][0])
            for chunk in _chunks(job_ids)
            for row in self._client.list_workflows(workflow_ids=chunk, load_output=False)
            if row.input
        ]

    async def heads(self) -> list[Head]:
        """Return the partitions in which jobs wait; the cost grows with them, not with the jobs."""
        return await self._call(self._heads)

    def _heads(self) -> list[Head]:
        with self._tables.engine.connect() as connection:
            rows = connection.execute(self._heads_statement)
            # Another process may claim the last one between the two looks at a partition.
            return [Head(key, priority) for key, priority in rows if priority is not None]

    async def claim(self, partition: str, slots: int, executor_id: str) -> list[Claim]:
        """Take up to so many waiting jobs of a partition, in order of priority and age."""
        return await self._call(self._claim, partition, slots, executor_id)

    def _claim(self, partition: str, slots: int, executor_id: str) -> list[Claim]:
        owner = new_id()
        # DBOS takes as many as its bounds leave over what runs; the slots are reserved already,
        # so what runs is stated such that exactly they are left.
        try:
            ids, _ = self._tables.start_queued_workflows(
                self._queue,
                executor_id,
                self._options.app_version,
                partition,
                self._options.concurrency - slots,
                self._partition_bound() - slots,
                owner_xid=owner,
                # Every job names its version, so nothing depends on which one is the latest.
                is_latest_version=False,
            )
        except DBAPIError as error:
            if self._tables.is_lock_conflict(error) or self._tables.is_serialization_conflict(
                error
            ):
                return []  # another process claims from this partition right now
            raise
        rows: list[dict[str, Any]] = self._tables.get_workflow_statuses(ids) if ids else []
        # One that was cancelled in the moment between is nobody's to execute.
        return [self._read_claim(row, owner) for row in rows if row["status"] == "PENDING"]

    def _read_claim(self, row: dict[str, Any], owner: str) -> Claim:
        inputs = DBOSPortableJSON.deserialize(row["inputs"])
        job = Job.from_json(inputs["positionalArgs"][0])
        return Claim(job, row["recovery_attempts"] or 0, row, owner)

    async def pending(self) -> list[Pending]:
        """Return every job that some executor has claimed."""
        return await self._call(self._pending)

    def _pending(self) -> list[Pending]:
        jobs = self._tables.tables.workflow_status
        statement = sa.select(jobs.c.workflow_uuid, jobs.c.executor_id, jobs.c.recovery_attempts)
        statement = statement.where(
            jobs.c.status == sa.literal_column("'PENDING'"), jobs.c.name == WORKFLOW
        )
        with self._tables.engine.connect() as connection:
            return [Pending(i, e, n or 0) for i, e, n in connection.execute(statement)]

    async def put_back(self, jobs: Collection[Pending]) -> int:
        """Let these jobs be claimed again, those that are still their executor's. Return how many.

        Two processes may do this at the same time: a job that one of them has put back and
        claimed is no longer the dead executor's, and the other one leaves it alone.
        """
        return await self._call(self._put_back, jobs)

    def _put_back(self, pending: Collection[Pending]) -> int:
        executors = {job.job_id: job.executor_id for job in pending}
        rows = self._tables.tables.workflow_status
        put_back = 0
        for job in self._jobs(executors):
            statement = (
                sa.update(rows)
                .where(rows.c.workflow_uuid == job.id)
                .where(rows.c.status == "PENDING", rows.c.executor_id == executors[job.id])
                .values(
                    status="ENQUEUED",
                    owner_xid=None,
                    started_at_epoch_ms=None,
                    updated_at=int(time.time() * 1000),
                    # What was started at once has none of these three yet.
                    queue_name=QUEUE,
                    queue_partition_key=job.partition,
                    priority=job.priority,
                )
            )
            with self._tables.engine.begin() as connection:
                put_back += connection.execute(statement).rowcount
        return put_back

    async def purge(self) -> int:
        """Delete some rows of jobs that finished long ago. Return how many."""
        return await self._call(self._purge)

    def _purge(self) -> int:
        before = clock.now() - timedelta(seconds=self._options.keep_finished_s)
        rows = self._client.list_workflows(
            status=_FINISHED,
            name=WORKFLOW,
            completed_before=before.isoformat(),
            limit=_CHUNK,
            load_input=False,
            load_output=False,
        )
        ids = [row.workflow_id for row in rows]
        if ids:
            self._client.delete_workflows(ids)
        return len(ids)


def _heads_statement(jobs: sa.Table, app_version: str) -> sa.Select[Any, Any]:
    """Build the query once: it is asked several times a second, and building costs as much again.

    From one partition to the next by the index, which ends at the number of partitions; grouping
    would read every job that waits.
    """
    waiting = [
        jobs.c.queue_name == QUEUE,
        # Literals, since SQLite picks the partial index only where it sees its condition.
        jobs.c.status == sa.literal_column("'ENQUEUED'"),
        jobs.c.status.in_([sa.literal_column("'ENQUEUED'"), sa.literal_column("'PENDING'")]),
        jobs.c.application_version == app_version,
    ]
    key = jobs.c.queue_partition_key
    keys = (
        sa.select(sa.func.min(key).label("key"))
        .where(*waiting, key.is_not(None))
        .cte("keys", recursive=True)
    )
    following = sa.select(sa.func.min(key)).where(*waiting, key > keys.c.key).scalar_subquery()
    keys = keys.union_all(sa.select(following).where(keys.c.key.is_not(None)))
    first = (
        sa.select(sa.func.min(jobs.c.priority)).where(*waiting, key == keys.c.key).scalar_subquery()
    )
    return sa.select(keys.c.key, first).where(keys.c.key.is_not(None))


def _chunks(ids: Collection[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
