"""Jobs whose process is gone: put back into the queue, or given up."""

from collections.abc import Collection, Mapping

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
    ) -> None:
        self._options, self._database = options, database
        self._leases, self._kinds = leases, kinds

    async def sweep(self) -> int:
        """Recover or give up what has no living executor. Return how many jobs were put back."""
        # The claims first: an executor takes its lease before it claims, so whoever is not among
        # the living afterwards was dead or gone when it was seen to hold a job.
        pending = await self._database.pending()
        live = await self._leases.live()
        if self._leases.executor_id not in live:
            return 0  # this process is the dead one; it has to let go of its own jobs first
        orphans = [job for job in pending if job.executor_id not in live]
        if not orphans:
            return 0
        if self._options.on_restart == "cancel":
            await self._give_up([job.job_id for job in orphans])
            return 0
        hopeless = [job for job in orphans if job.attempts >= self._options.max_attempts]
        await self._give_up([job.job_id for job in hopeless])
        return await self._put_back([job for job in orphans if job not in hopeless])

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
