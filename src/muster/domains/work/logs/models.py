"""Tables of logs."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Base, UTCDateTime


class ExternalTask(Base):
    """A task of an agent that runs elsewhere, under the id that the agent has given it.

    Its steps are those of the run `run_id`. `idle_at` is when a conversation that has not ended is
    taken for left.
    """

    __tablename__ = "external_tasks"
    __table_args__ = (Index("ix_external_tasks_project_id_task_id", "project_id", "task_id"),)

    agent_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True
    )
    task_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    # Deferred: the first who inserts the task makes its run, and nobody makes one in vain.
    run_id: Mapped[str] = mapped_column(
        String(36),
        ForeignKey("runs.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        unique=True,
    )
    project_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("projects.id", ondelete="CASCADE")
    )
    is_conversation: Mapped[bool] = mapped_column(default=False)
    idle_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
