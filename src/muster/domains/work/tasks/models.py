"""The table of tasks."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from muster.domains.work.tasks.statuses import AT_WORK, FINAL, TaskStatus
from muster.kernel import clock
from muster.kernel.db import Json, ProjectRecord, UTCDateTime

_CLAIMED = text("claimed_at IS NOT NULL")
_LEASED = text("lease_until IS NOT NULL")


class Task(ProjectRecord):
    """A piece of work. `spec` is the definition that is run; the columns beside it are its parts
    that lists and the queue look at, and the state of the task.

    `agent_reference` is how the agent was named, `agent_id` whom that meant when it was known.
    `kept` holds what clients get back as they gave it and no run reads. `claimed_at` is set from
    the moment the run `last_run_id` is decided on until that run begins, or is ended because the
    task was cancelled before; with it are kept the inputs and the model that were given for this
    run. `lease_until` is set while a worker node does the task, `worker_id` is the one that had it
    last. `acting_*` is for whom the queue starts it: who made, changed or ran the task last.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_project_id_created_at", "project_id", "created_at"),
        Index("ix_tasks_project_id_name", "project_id", "name"),
        Index("ix_tasks_agent_id_status", "agent_id", "status"),
        Index(
            "ix_tasks_claimed_at", "claimed_at", sqlite_where=_CLAIMED, postgresql_where=_CLAIMED
        ),
        Index(
            "ix_tasks_lease_until", "lease_until", sqlite_where=_LEASED, postgresql_where=_LEASED
        ),
    )

    name: Mapped[str] = mapped_column(String(255))
    key: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    agent_reference: Mapped[str | None] = mapped_column(String(255))
    agent_id: Mapped[str | None] = mapped_column(String(36))
    crew_id: Mapped[str | None] = mapped_column(String(36), index=True)
    priority: Mapped[str] = mapped_column(String(16))
    rank: Mapped[int]
    deadline: Mapped[datetime | None] = mapped_column(UTCDateTime)
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    kept: Mapped[dict[str, Any]] = mapped_column(Json)
    inputs: Mapped[dict[str, Any]] = mapped_column(Json)

    status: Mapped[str] = mapped_column(String(16), default=TaskStatus.DRAFT.value)
    result: Mapped[Any | None] = mapped_column(Json)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_run_id: Mapped[str | None] = mapped_column(String(36))
    claimed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    run_inputs: Mapped[dict[str, Any] | None] = mapped_column(Json)
    run_model: Mapped[str | None] = mapped_column(String(255))
    worker_id: Mapped[str | None] = mapped_column(String(36))
    lease_s: Mapped[int | None]
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)

    acting_user_id: Mapped[str] = mapped_column(String(64))
    acting_key_id: Mapped[str | None] = mapped_column(String(64))
    created_by_id: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(255))

    @property
    def is_final(self) -> bool:
        """Tell whether the task has ended."""
        return TaskStatus(self.status) in FINAL

    @property
    def is_at_work(self) -> bool:
        """Tell whether a run of the task is under way, or about to begin."""
        return TaskStatus(self.status) in AT_WORK or self.claimed_at is not None

    @property
    def is_overdue(self) -> bool:
        """Tell whether the deadline has passed and the task has not ended."""
        return self.deadline is not None and not self.is_final and self.deadline < clock.now()
