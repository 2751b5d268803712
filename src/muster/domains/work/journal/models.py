"""Tables of the journal."""

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from muster.domains.work.journal.statuses import RunStatus, StepKind
from muster.kernel.chain import GENESIS
from muster.kernel.db import Base, Json, ProjectRecord, UTCDateTime

_IS_ASLEEP = text("wake_at IS NOT NULL")
_IS_MODEL_CALL = text(f"kind = '{StepKind.MODEL.value}'")


class Run(ProjectRecord):
    """One execution of something, inside or outside the platform.

    `target_id` is the stored task, crew or workflow that is run, if it is one. A run with `wake_at`
    sleeps until then, and costs nothing.

    `segment` counts the times it was given to the engine (start, resume after a wait, recovery by
    hand); `fence` grows each time a process takes it up, and only the process that holds the newest
    number may append. `head_seq` and `head_hash` are the end of the chain of steps.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_project_id_created_at_id", "project_id", "created_at", "id"),
        Index("ix_runs_project_id_status_created_at", "project_id", "status", "created_at"),
        Index("ix_runs_agent_id_created_at", "agent_id", "created_at"),
        Index("ix_runs_status", "status"),
        Index("ix_runs_target_id_created_at", "target_id", "created_at"),
        # Those that sleep are looked for every second, and are few.
        Index("ix_runs_wake_at", "wake_at", postgresql_where=_IS_ASLEEP, sqlite_where=_IS_ASLEEP),
    )

    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(255))
    agent_id: Mapped[str | None] = mapped_column(String(36))
    agent_version: Mapped[int | None]
    target_id: Mapped[str | None] = mapped_column(String(36))
    snapshot: Mapped[dict[str, Any]] = mapped_column(Json)
    inputs: Mapped[dict[str, Any]] = mapped_column(Json)
    parent_run_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("runs.id", ondelete="SET NULL"), index=True
    )
    parent_key: Mapped[str | None] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(16), default="start")
    origin_run_id: Mapped[str | None] = mapped_column(String(36))
    origin_seq: Mapped[int | None]
    started_by_kind: Mapped[str] = mapped_column(String(16))
    started_by_id: Mapped[str] = mapped_column(String(64))
    started_by_name: Mapped[str] = mapped_column(String(255))
    priority: Mapped[int] = mapped_column(default=100)
    timeout_s: Mapped[int]

    status: Mapped[str] = mapped_column(String(24), default=RunStatus.PENDING.value)
    status_reason: Mapped[str | None] = mapped_column(Text)
    wake_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    stop_requested: Mapped[str | None] = mapped_column(String(16))
    result: Mapped[Any | None] = mapped_column(Json)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    active_ms: Mapped[int] = mapped_column(default=0)

    segment: Mapped[int] = mapped_column(default=1)
    fence: Mapped[int] = mapped_column(default=0)
    executor_id: Mapped[str | None] = mapped_column(String(64))
    head_seq: Mapped[int] = mapped_column(default=0)
    head_hash: Mapped[str] = mapped_column(String(64), default=GENESIS)

    model_calls: Mapped[int] = mapped_column(default=0)
    tool_calls: Mapped[int] = mapped_column(default=0)
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    reasoning_tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float] = mapped_column(Float, default=0.0)
    unpriced_calls: Mapped[int] = mapped_column(default=0)

    @property
    def is_final(self) -> bool:
        """Tell whether the run has ended for good."""
        return RunStatus(self.status).is_final

    @property
    def job_id(self) -> str:
        """Name of the engine's job that carries the present segment."""
        return f"{self.id}:{self.segment}"


class Step(Base):
    """One thing that happened in a run. Rows are only ever inserted.

    `key` names the step's place in the run ("m2" the second model call, "t2.0" its first tool
    call): a run that is taken up again finds its finished steps by it. `input`, `output`,
    `properties`, `decision` and `error` are JSON texts, kept to the letter because the hash covers
    them; one above the limit is `{"$blob": {"sha256", "bytes", "preview"}}` and lies in the blob
    store.
    """

    __tablename__ = "steps"
    __table_args__ = (
        UniqueConstraint("run_id", "key"),
        Index("ix_steps_project_id_ended_at", "project_id", "ended_at"),
        Index("ix_steps_agent_id_kind_ended_at", "agent_id", "kind", "ended_at"),
        # For sums of costs: one in many steps is a call of a model.
        Index(
            "ix_steps_project_id_ended_at_of_calls",
            "project_id",
            "ended_at",
            sqlite_where=_IS_MODEL_CALL,
            postgresql_where=_IS_MODEL_CALL,
        ),
    )

    run_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[str] = mapped_column(String(36))
    agent_id: Mapped[str | None] = mapped_column(String(36))
    key: Mapped[str] = mapped_column(String(64))
    parent_key: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(24))
    verb: Mapped[str | None] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16))
    input: Mapped[str | None] = mapped_column(Text)
    output: Mapped[str | None] = mapped_column(Text)
    properties: Mapped[str | None] = mapped_column(Text)
    decision: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    reasoning_tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float | None] = mapped_column(Float)
    segment: Mapped[int] = mapped_column(default=1)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime] = mapped_column(UTCDateTime)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class Intent(Base):
    """A step that is about to act and cannot be repeated blindly.

    Written before the act, deleted with the append of the settled step. One that is found when a
    run is taken up again means that the act may have half-happened.
    """

    __tablename__ = "step_intents"

    run_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    arguments_hash: Mapped[str] = mapped_column(String(64))
    fence: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
