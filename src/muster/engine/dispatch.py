"""Takes waiting jobs from the queue of DBOS as slots come free.

DBOS's own poller takes what it finds at fixed times, without knowing of slots, and partitions in
random order. This one claims the moment a job is submitted here or a slot comes free, never more
than there are slots, strictly by priority, and among equals for the partition that has the least.
"""

import asyncio
import contextlib
from itertools import count

from muster.engine.capacity import Capacity
from muster.engine.jobs import Job
from muster.engine.leases import Leases
from muster.engine.running import RunningJobs
from muster.engine.runtime import Runtime
from muster.engine.system_database import Claim, Head, SystemDatabase
from muster.kernel.logging import get_logger

logger = get_logger(__name__)

_AFTER_ERROR_S = 1.0


class Dispatcher:
    """Fills the free slots of this process."""

    def __init__(
        self,
        database: SystemDatabase,
        capacity: Capacity,
        jobs: RunningJobs,
        runtime: Runtime,
        leases: Leases,
        poll_s: float,
    ) -> None:
        self._database, self._capacity, self._jobs = database, capacity, jobs
        self._runtime, self._leases, self._poll_s = runtime, leases, poll_s
        self._wake = asyncio.Event()
        self._stopping = False
        self._may_wait = True
        self._beginning: set[asyncio.Task[None]] = set()
        self._served: dict[str, int] = {}
        self._turn = count(1)

    def wake(self) -> None:
        """Look now: something was submitted."""
        self._may_wait = True
        self._wake.set()

    def released(self) -> None:
        """Look now if anything may wait for the slot that came free.

        What was submitted since the last look has woken this, or is found by the next one.
        """
        if self._may_wait:
            self._wake.set()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is claimed has begun."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped."""
        while not self._stopping:
            self._wake.clear()
            pause: float | None = self._poll_s
            try:
                await self._fill()
            except Exception:  # a database may be away for a while; the dispatcher must not be
                logger.exception("engine_dispatch_failed")
                pause = _AFTER_ERROR_S
            if self._capacity.free == 0:
                pause = None  # nothing to look for before a slot comes free
                self._may_wait = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _fill(self) -> None:
        while self._capacity.free and not self._stopping:
            waiting = await self._database.heads()
            # What was submitted during the look may be missing in it.
            self._may_wait = bool(waiting) or self._wake.is_set()
            heads = [h for h in waiting if self._capacity.room(h.partition)]
            if not heads or not await self._serve(heads):
                return

    async def _serve(self, heads: list[Head]) -> bool:
        """Claim for the most urgent partitions, one each; for a single one, all it may have."""
        priority = min(head.priority for head in heads)
        urgent = [head.partition for head in heads if head.priority == priority]
        urgent.sort(key=lambda p: (self._capacity.running(p), self._served.get(p, 0)))
        alone = len(heads) == 1
        self._served = {p: n for p, n in self._served.items() if p in urgent}
        claimed = False
        for partition in urgent:
            if self._capacity.room(partition):
                slots = self._capacity.room(partition) if alone else 1
                claimed = await self._claim(partition, slots) or claimed
        if not claimed and len(urgent) < len(heads):
            # The most urgent are held back, by their rate or by another process that claims there.
            return await self._serve([h for h in heads if h.partition not in urgent])
        return claimed

    async def _claim(self, partition: str, slots: int) -> bool:
        self._capacity.reserve(partition, slots)
        claims: list[Claim] = []
        async with self._leases.held:
            try:
                claims = await self._database.claim(partition, slots, self._leases.executor_id)
            finally:
                self._capacity.release(partition, slots - len(claims))
            for claim in claims:
                await self._begin(claim)
        self._served[partition] = next(self._turn)
        return bool(claims)

    async def _begin(self, claim: Claim) -> None:
        self._jobs.expect(claim.job.id, recovered=claim.attempts > 1)
        try:
            await self._runtime.execute(claim)
        except Exception:  # the others must begin; this one stays claimed until this process ends
            logger.exception("engine_job_not_begun", job_id=claim.job.id)
            self._jobs.forget(claim.job)

    async def start(self, job: Job) -> bool:
        """Begin a new job without the queue. False when it has to queue.

        That is so when no slot is free, or when as urgent a job waits for the same slot, as far as
        this process has heard.
        """
        if not self._capacity.room(job.partition):
            return False
        if self._may_wait and await self._is_behind(job):
            return False
        if self._stopping or not self._capacity.reserve(job.partition):
            return False
        beginning = asyncio.create_task(self._start(job), name=f"begin:{job.id}")
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)
        # A caller that goes away in the middle must not leave a job that is stored and not run.
        await asyncio.shield(beginning)
        return True

    async def _is_behind(self, job: Job) -> bool:
        heads = await self._database.heads()
        return any(h.priority <= job.priority and self._capacity.room(h.partition) for h in heads)

    async def _start(self, job: Job) -> None:
        async with self._leases.held:
            self._jobs.expect(job.id, recovered=False)
            begun = False
            try:
                begun = await self._runtime.begin(job)
            finally:
                if not begun:  # it existed already, which is as good
                    self._jobs.forget(job)
