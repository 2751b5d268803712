"""What the execution of runs needs from the process, in one place."""

from dataclasses import dataclass
from pathlib import Path

from muster.adapters.blobs import LocalBlobStore
from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.catalogue.tools import ToolCatalogue
from muster.domains.control.gate import Gate
from muster.domains.work.journal import JournalWriter
from muster.engine import Engine
from muster.kernel.db import Database
from muster.kernel.live import LiveBus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParts:
    """Long-lived parts of a process that executes runs. `workspaces` holds a folder per run."""

    database: Database
    live: LiveBus
    writer: JournalWriter
    blobs: LocalBlobStore
    gate: Gate
    models: ModelCatalogue
    tools: ToolCatalogue
    engine: Engine
    workspaces: Path
