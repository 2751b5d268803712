"""The engine: submits, executes, cancels and recovers jobs."""

import asyncio
import contextlib
import time
from collections.abc import Collection, Coroutine
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.metadata import version
from typing import Any, ClassVar

from muster.engine.capacity import Capacity
from muster.engine.jobs import Handler, Job, Kind, Lost, Stop
from muster.engine.leases import ExecutorInfo, Leases
from muster.engine.options import EngineOptions
from muster.engine.running import RunningJobs
from muster.engine.signals import JobSignals
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.kernel.logging import get_logger

logger = get_logger(__name__)

TOPIC = "engine"
MAX_PRIORITY = 1_000_000
_MAX_ID = 200
_LAST_GRACE_S = 2.0
_PURGE_EVERY_S = 3600.0


class Engine:
    """Durable jobs of this process. One at a time in a process, since DBOS is global to it.

    Args:
        options: How this process takes part.
        database: The product's database; leases and cancellations are tables in it.
        live: The bus on which processes wake each other. Without it they still find out, later.
    """

    _started: ClassVar["Engine | None"] = None

    def __init__(self, options: EngineOptions, database: Database, live: LiveBus) -> None:
        self._options, self._live = options, live
        self._kinds: dict[str, Kind] = {}
        self._capacity = Capacity(options.concurrency, options.partition_concurrency)
        self._signals = JobSignals(database)
        self._leases = Leases(options, database, version("muster"))
        self._jobs = RunningJobs(
            self._kinds,
            self._capacity,
            lambda: self._leases.executor_id,
            self._cancellation_of,
            self._finish_cancelled,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._beat_now = asyncio.Event()
        self._enlisted = False
        self._up = asyncio.Event()
        self._failed = False
        self._purged_at = time.monotonic()

    def register(self, kind: str, handler: Handler, *, lost: Lost) -> None:
        """Say who executes jobs of a kind, before `start`."""
        if kind in self._kinds:
            raise ValueError(f"jobs of the kind {kind!r} have a handler already")
        self._kinds[kind] = Kind(handler, lost)

    @property
    def executor_id(self) -> str:
        """The id of this process's lease; it changes when a lease was lost."""
        return self._leases.executor_id

    def active(self) -> list[str]:
        """Return the ids of the jobs whose handlers run in this process."""
        return self._jobs.active()

    async def executors(self) -> list[ExecutorInfo]:
        """Return the processes that execute jobs."""
        return await self._leases.all()

    async def enlist(self) -> None:
        """Take the lease of a working process: others count on it from now on. `start` follows.

        That takes half a second, and this nothing.
        """
        if self._options.work and not self._enlisted:
            await self._leases.take()
            self._enlisted = True
            # Nobody is to count on those that have died meanwhile.
            await self._leases.live()

    async def start(self) -> None:
        """Connect, and in a working process begin to execute and to look after dead ones.

        What is asked of the engine meanwhile waits, and fails if the start does.
        """
        if Engine._started is not None:
            raise RuntimeError("an engine runs in this process already; stop it first")
        Engine._started = self
        self._up.clear()
        self._failed = False
        async with AsyncExitStack() as undo:
            undo.callback(self._give_up)
            await self.enlist()
            undo.push_async_callback(self._leave)
            # Importing DBOS takes long: commands that execute nothing shall not pay for it, and
            # what else this process does shall not stand still.
            await asyncio.to_thread(import_module, "muster.engine.dispatch")
            from muster.engine import runtime
            from muster.engine.system_database import SystemDatabase

            self._database = SystemDatabase(self._options)
            undo.callback(self._database.close)
            await self._database.open()
            if self._options.work:
                undo.push_async_callback(runtime.discard)
                await self._start_working()
            undo.pop_all()
        self._up.set()

    async def _start_working(self) -> None:
        from muster.engine.dispatch import Dispatcher
        from muster.engine.recovery import Recovery
        from muster.engine.runtime import Runtime

        self._runtime = Runtime(self._options, self._database, self._jobs.run)
        self._recovery = Recovery(
            self._options, self._database, self._leases, self._kinds, self._jobs.held
        )
        self._dispatcher = Dispatcher(
            self._database,
            self._capacity,
            self._jobs,
            self._runtime,
            self._leases,
            self._options.poll_s,
        )
        await self._recovery.sweep()
        await self._recovery.start_over()
        await self._runtime.start(self._leases.executor_id)
        self._jobs.on_release = self._dispatcher.released
        self._dispatching = asyncio.create_task(self._dispatcher.run(), name="engine-dispatch")
        self._spawn(self._beat(), "engine-beat")
        self._spawn(self._listen(), "engine-listen")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _leave(self) -> None:
        """End the lease at once: others would notice later."""
        if not self._enlisted:
            return
        self._enlisted = False
        try:
            await self._leases.end([self._leases.executor_id])
        except Exception:  # without its database too a process must end; the others will notice
            logger.exception("engine_lease_not_ended", executor_id=self._leases.executor_id)
        self._live.publish(TOPIC, {"stopped": self._leases.executor_id})

    def _give_up(self) -> None:
        """Let nobody wait for a start that has failed or does not come."""
        if Engine._started is self:
            Engine._started = None
        self._failed = True
        self._up.set()

    async def _ready(self) -> None:
        await self._up.wait()
        if self._failed:
            raise RuntimeError("the engine did not start; what was to be executed is stored")

    async def stop(self, grace_s: float = 5) -> None:
        """Take no more jobs, let those in flight end for `grace_s`, and leave the rest.

        What is left is invoked again by the next start or by another process. A handler that
        does not end when it is cancelled holds this up for a short time only.
        """
        if Engine._started is not self:
            self._give_up()
            await self._leave()
            return
        try:
            if self._options.work:
                await self._stop_working(grace_s)
        finally:
            self._database.close()
            Engine._started = None

    async def _stop_working(self, grace_s: float) -> None:
        self._dispatcher.stop()
        await asyncio.wait({self._dispatching}, timeout=_LAST_GRACE_S)
        if not await self._jobs.wait_until_idle(grace_s):
            self._jobs.cancel_all(Stop.STOPPING, "the process shuts down")
            if not await self._jobs.wait_until_idle(_LAST_GRACE_S):
                logger.error("engine_handlers_do_not_end", job_ids=self._jobs.active())
        for task in [*self._tasks, self._dispatching]:
            task.cancel()
        await asyncio.gather(*self._tasks, self._dispatching, return_exceptions=True)
        self._tasks.clear()
        await self._runtime.stop(_LAST_GRACE_S)
        await self._leave()

    async def submit(self, job: Job) -> None:
        """Store a job and have it executed: at once where a slot is free, else in its turn."""
        if not 1 <= job.priority <= MAX_PRIORITY:
            raise ValueError(f"a job's priority is between 1 and {MAX_PRIORITY:,}")
        if not 1 <= len(job.id) <= _MAX_ID:
            raise ValueError(f"a job's id has between 1 and {_MAX_ID} characters")
        await self._ready()
        # A rate is counted where jobs leave the queue, so with one everything goes through it.
        immediate = self._options.work and not self._options.rate_limit and job.delay_s <= 0
        if immediate and await self._dispatcher.start(job):
            return
        await self._database.enqueue(job)
        if self._options.work:
            self._dispatcher.wake()
        if not self._options.work or not self._capacity.room(job.partition):
            self._live.publish(TOPIC, {"submitted": job.id})

    async def cancel(self, job_id: str, reason: str) -> None:
        """End a job wherever it is: a waiting one never starts, a running handler is cancelled."""
        if self._jobs.cancel(job_id, Stop.CANCELLED, reason):
            return
        if not await self.known([job_id]):
            return
        await self._signals.send(job_id, reason)
        self._live.publish(TOPIC, {"cancel": job_id, "reason": reason})
        # The wish stays in the table: a process may have claimed the job a moment ago.
        await self._database.cancel(await self._database.waiting([job_id]))

    async def known(self, job_ids: Collection[str]) -> set[str]:
        """Return which of these jobs wait or run; the others ended or were never submitted."""
        await self._ready()
        return await self._database.unfinished(job_ids)

    async def _beat(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.heartbeat_s):
                    await self._beat_now.wait()
            self._beat_now.clear()
            try:
                await self._beat_once()
            except Exception:  # the heart goes on beating when a database was away
                logger.exception("engine_beat_failed")

    async def _beat_once(self) -> None:
        if not await self._leases.renew():
            await self._fence()
        for job_id, reason in (await self._signals.reasons(self.active())).items():
            self._jobs.cancel(job_id, Stop.CANCELLED, reason)
        if await self._recovery.sweep():
            self._dispatcher.wake()
        if time.monotonic() - self._purged_at > _PURGE_EVERY_S:
            await self._purge()

    async def _fence(self) -> None:
        """Another process believed this one dead and has its jobs: let go of them."""
        logger.error("engine_lease_lost", executor_id=self._leases.executor_id)
        async with self._leases.held:
            await self._leases.take()
            # From here on nothing begins that was claimed under the old id, and what has, ends.
            self._jobs.cancel_all(Stop.LOST, "another process took this job over")
            self._runtime.rename(self._leases.executor_id)

    async def _purge(self) -> None:
        self._purged_at = time.monotonic()
        await self._leases.purge()
        await self._signals.purge()
        while await self._database.purge():
            continue

    async def _listen(self) -> None:
        async with self._live.subscribe(TOPIC) as messages:
            while True:
                message = await messages.get() or {}
                if "cancel" in message:
                    self._jobs.cancel(message["cancel"], Stop.CANCELLED, message["reason"])
                elif "stopped" in message:
                    self._beat_now.set()
                else:
                    self._dispatcher.wake()

    async def _cancellation_of(self, job_id: str) -> str | None:
        return (await self._signals.reasons([job_id])).get(job_id)

    async def _finish_cancelled(self, job_id: str) -> None:
        await self._database.cancel([job_id])
        await self._signals.clear(job_id)
