"""How one process takes part in the work."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Settings of the engine in this process.

    Args:
        system_database_url: Where DBOS keeps its tables: an SQLite path or URL, or a PostgreSQL
            URL (schema `dbos`). All processes that share work name the same one.
        concurrency: Jobs at one time in this process.
        partition_concurrency: Jobs of one partition at one time in this process; None is no bound.
        rate_limit: At most this many starts of one partition in this many seconds, over all
            processes; None is no limit.
        work: False for a process that submits and cancels but never executes.
        on_restart: What becomes of the jobs of a process that stopped or died: `resume` invokes
            them again, `cancel` gives them up and tells the `lost` callback.
        heartbeat_s: How often the lease is renewed, cancellations are read and the dead are sought.
        lease_s: A process on another host is dead when its heart stood still for so long.
        poll_s: How often an idle process looks for jobs that other processes submitted.
        app_version: Only jobs of the same version are taken; it changes with the format of jobs
            and not with the release of the product.
        max_attempts: A job that was invoked so often without coming to its end is given up.
        keep_finished_s: How long DBOS's rows of finished jobs are kept.
    """

    system_database_url: str
    concurrency: int = 8
    partition_concurrency: int | None = None
    rate_limit: tuple[int, float] | None = None
    work: bool = True
    on_restart: Literal["resume", "cancel"] = "resume"
    heartbeat_s: float = 1.0
    lease_s: float = 10.0
    poll_s: float = 0.25
    app_version: str = "muster-1"
    max_attempts: int = 20
    keep_finished_s: float = 7 * 86_400
