"""What reports need from the process, in one place."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from muster.adapters.blobs import LocalBlobStore
from muster.domains.insight.reports.checks import LogChecks
from muster.engine import Job
from muster.kernel.db import Database


class Jobs(Protocol):
    """What reports need of the engine."""

    async def submit(self, job: Job) -> None: ...

    async def cancel(self, job_id: str, reason: str) -> None: ...

    async def known(self, job_ids: Collection[str]) -> set[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportParts:
    """Long-lived parts. `payloads` are the journal's large values, `files` what was made.

    Two stores, because files are deleted with their reports, and payloads never.
    """

    database: Database
    engine: Jobs
    payloads: LocalBlobStore
    files: LocalBlobStore
    checks: LogChecks
