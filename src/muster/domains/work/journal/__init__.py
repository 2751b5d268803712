"""Journal: runs and their steps, the one record from which everything else is read."""

from muster.domains.work.journal.chaining import Appended, Line, Place
from muster.domains.work.journal.models import Intent, Run, Step
from muster.domains.work.journal.moves import IllegalRunMove, RunAction, transition
from muster.domains.work.journal.payloads import BlobStore
from muster.domains.work.journal.reading import (
    JournalReader,
    StepRow,
    duration_ms,
    load_text,
    load_value,
)
from muster.domains.work.journal.statuses import (
    ACTIVE,
    FINAL,
    PLAN_KINDS,
    RunStatus,
    StepKind,
    StepStatus,
)
from muster.domains.work.journal.verifying import Verification, verify_run
from muster.domains.work.journal.writer import Fenced, JournalWriter, NewStep, run_topic

__all__ = [
    "ACTIVE",
    "FINAL",
    "PLAN_KINDS",
    "Appended",
    "BlobStore",
    "Fenced",
    "IllegalRunMove",
    "Intent",
    "JournalReader",
    "JournalWriter",
    "Line",
    "NewStep",
    "Place",
    "Run",
    "RunAction",
    "RunStatus",
    "Step",
    "StepKind",
    "StepRow",
    "StepStatus",
    "Verification",
    "duration_ms",
    "load_text",
    "load_value",
    "run_topic",
    "transition",
    "verify_run",
]
