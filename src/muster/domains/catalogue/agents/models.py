"""Tables of agents."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Base, Json, ProjectRecord, UTCDateTime


class Agent(ProjectRecord):
    """An agent as it is now. `spec` is the whole definition; the columns beside it are its parts
    that lists filter by, and the agent's state, which is no part of its definition.

    A deleted agent keeps its row, for the runs that name it; its key may be used again.
    `account_id` is the user by whose key an agent that runs elsewhere has registered itself; its
    key is then its own among the agents of that account, so that nobody's key is in another's way.
    """

    __tablename__ = "agents"
    __table_args__ = (
        Index(
            "uq_agents_project_id_key",
            "project_id",
            "key",
            unique=True,
            sqlite_where=text("deleted_at IS NULL AND account_id IS NULL"),
            postgresql_where=text("deleted_at IS NULL AND account_id IS NULL"),
        ),
        Index(
            "uq_agents_project_id_account_id_key",
            "project_id",
            "account_id",
            "key",
            unique=True,
            sqlite_where=text("deleted_at IS NULL AND account_id IS NOT NULL"),
            postgresql_where=text("deleted_at IS NULL AND account_id IS NOT NULL"),
        ),
        Index("ix_agents_project_id_created_at", "project_id", "created_at"),
    )

    key: Mapped[str] = mapped_column(String(128))
    name: Mapped[str] = mapped_column(String(255))
    role: Mapped[str | None] = mapped_column(String(20_000))
    environment: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    version: Mapped[int] = mapped_column(default=1)
    is_started: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(String(16), default="offline")
    account_id: Mapped[str | None] = mapped_column(String(36))
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def is_active(self) -> bool:
        """Tell whether the agent is not deleted."""
        return self.deleted_at is None


class AgentVersion(Base):
    """One state of an agent's definition. Rows are only ever inserted."""

    __tablename__ = "agent_versions"

    agent_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    note: Mapped[str | None] = mapped_column(String(255))
    created_by_id: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
