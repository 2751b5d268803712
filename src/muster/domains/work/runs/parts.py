"""What the execution of runs needs from the process, in one place."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.blobs import LocalBlobStore
from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.catalogue.tools import ToolCatalogue
from muster.domains.control.access_rules import AccessRules
from muster.domains.control.gate import Gate
from muster.domains.work.journal import JournalWriter, Run
from muster.domains.work.runs.schemas import ExecutionCreate
from muster.engine import Job
from muster.kernel.db import Database
from muster.kernel.live import LiveBus


class Jobs(Protocol):
    """What runs need of the engine."""

    async def submit(self, job: Job) -> None: ...

    async def cancel(self, job_id: str, reason: str) -> None: ...

    async def known(self, job_ids: Collection[str]) -> set[str]: ...


class Detached:
    """The engine of a process that has none: its runs stay pending until the dispatcher of a
    working process finds them, and what it cancels is ended at the next step.
    """

    async def submit(self, job: Job) -> None:
        """Leave the run to the dispatcher."""

    async def cancel(self, job_id: str, reason: str) -> None:
        """Leave it to the journal, which refuses the next step of a run that has ended."""

    async def known(self, job_ids: Collection[str]) -> set[str]:
        """Take every job for one of another process."""
        return set(job_ids)


class Ending(Protocol):
    """Looks at one run as a whole when it ends, such as policies do."""

    async def report(self, session: AsyncSession) -> None:
        """Look at the run, whose last step is written in this unit of work."""
        ...


class Endings(Protocol):
    """Looks at runs as a whole when they end; what it finds ends no run in another way."""

    async def prepare(self, run: Run) -> Ending | None:
        """Return what looks at the end of a run, if anything does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What is to be run, as it is now. `agent_ids` are the stored agents that work on it."""

    kind: str
    name: str
    snapshot: dict[str, Any]
    inputs: dict[str, Any]
    target_id: str | None = None
    agent_id: str | None = None
    agent_ids: frozenset[str] = frozenset()


class Targets(Protocol):
    """Finds what is to be run and freezes it."""

    async def freeze(self, project_id: str, body: ExecutionCreate) -> Frozen:
        """Return what the body names as it is now; raises what is missing as an `AppError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParts:
    """Long-lived parts of a process that executes runs. `workspaces` holds a folder per run."""

    database: Database
    live: LiveBus
    writer: JournalWriter
    blobs: LocalBlobStore
    gate: Gate
    endings: Endings
    access_rules: AccessRules
    models: ModelCatalogue
    tools: ToolCatalogue
    engine: Jobs
    workspaces: Path
    kinds: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    """What works on a run, by its kind: a class of segments."""

    def segment(self, run: Run, **place: Any) -> Any:
        """Return the segment of a run that was taken up."""
        return self.kinds[run.kind](self, run, **place)
