"""Jobs whose process is gone: put back into the queue, or given up."""

import time
from collections.abc import Callable, Collection, Mapping

from muster.engine.jobs import Job, Kind
from muster.engine.leases import Leases
from muster.engine.options import EngineOptions
from muster.engine.system_database import Pending, SystemDatabase
from muster.kernel.logging import get_logger

logger = get_logger(__name__)


class Recovery:
    """Looks after the jobs of executors that do not live.

    Every working process does so, and several at a time do no harm: a job is put back only while
    it is still the dead executor's, and giving one up twice tells its owner twice.
    """

    def __init__(
        self,
        options: EngineOptions,
        database: SystemDatabase,
        leases: Leases,
        kinds: Mapping[str, Kind],
        held: Callable[[], Collection[str]],
    ) -> None:
        self._options, self._database = options, database
        self._leases, self._kinds, self._held = leases, kinds, held
        self._forgotten: dict[str, float] = {}

    async def sweep(self) -> int:
        """Recover or give up what has no living executor. Return how many jobs were put back."""
        # The claims first: an executor takes its lease before it claims, so whoever is not among
        # the living afterwards was dead or gone when it was seen to hold a job.
        pending = await self._database.pending()
        live = await self._leases.live()
        if self._leases.executor_id not in live:
            return 0  # this process is the dead one; it has to let go of its own jobs first
        orphans = [job for job in pending if job.executor_id not in live]
        orphans += self._forgotten_for_long(pending)
        if not orphans:
            return 0
        if self._options.on_restart == "cancel":
            await self._give_up([job.job_id for job in orphans])
            return 0
        hopeless = [job for job in orphans if job.attempts >= self._options.max_attempts]
        await self._give_up([job.job_id for job in hopeless])
        return await self._put_back([job for job in orphans if job not in hopeless])

    def _forgotten_for_long(self, pending: list[Pending]) -> list[Pending]:
        """Return claims of this very process that it knows nothing of, for as long as a lease.

        An error of the database in the middle of beginning a job leaves such a claim. For a moment
        so does every job that has ended, until DBOS has recorded it.
        """
        held, now = self._held(), time.monotonic()
        own = [j for j in pending if j.executor_id == self._leases.executor_id]
        own = [job for job in own if job.job_id not in held]
        self._forgotten = {job.job_id: self._forgotten.get(job.job_id, now) for job in own}
        return [j for j in own if now - self._forgotten[j.job_id] > self._options.lease_s]

    async def start_over(self) -> None:
        """Give up all that waits, where jobs do not outlive processes and this is the only one."""
        if self._options.on_restart == "cancel" and len(await self._leases.live()) == 1:
            await self._give_up(await self._database.all_waiting())

    async def _put_back(self, jobs: list[Pending]) -> int:
        number = await self._database.put_back(jobs)
        if number:
            logger.info("engine_jobs_recovered", jobs=number)
        return number

    async def _give_up(self, job_ids: Collection[str]) -> None:
        if not job_ids:
            return
        for job in await self._database.jobs(job_ids):
            if await self._tell(job):
                await self._database.cancel([job.id])
                logger.warning("engine_job_given_up", job_id=job.id, kind=job.kind)

    async def _tell(self, job: Job) -> bool:
        kind = self._kinds.get(job.kind)
        if kind is None:
            logger.error("engine_job_kind_unknown", job_id=job.id, kind=job.kind)
            return False
        try:
            await kind.lost(job.id, job.payload)
        except Exception:  # the job is not forgotten before its owner knows: the next sweep retries
            logger.exception("engine_lost_callback_failed", job_id=job.id, kind=job.kind)
            return False
        return True
