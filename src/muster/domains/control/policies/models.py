"""Tables of policies."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Base, Json, ProjectRecord, UTCDateTime


class Policy(ProjectRecord):
    """A policy as it is now. `params` has the names of the second generation, `generation` says
    whose meaning the rule has. A deleted policy keeps its row, for the incidents that name it.

    `version` grows with every change, so that the sum of all of them tells whether any has changed.
    """

    __tablename__ = "policies"
    __table_args__ = (
        Index("ix_policies_project_id_created_at", "project_id", "created_at"),
        Index("ix_policies_agent_id", "agent_id"),
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, default="")
    rule_type: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]] = mapped_column(Json)
    severity: Mapped[str] = mapped_column(String(16))
    scope: Mapped[str] = mapped_column(String(24))
    enabled: Mapped[bool] = mapped_column(default=True)
    enforcement: Mapped[str | None] = mapped_column(String(24))
    generation: Mapped[str] = mapped_column(String(1), default="2")
    agent_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("agents.id", ondelete="CASCADE")
    )
    environments: Mapped[list[str] | None] = mapped_column(Json)
    risk_classification: Mapped[str | None] = mapped_column(String(16))
    source_template: Mapped[str | None] = mapped_column(String(64))
    manifest_name: Mapped[str | None] = mapped_column(String(255))
    manifest_version: Mapped[str | None] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(default=1)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class PolicyVersion(Base):
    """One state of a policy. Rows are only ever inserted."""

    __tablename__ = "policy_versions"

    policy_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    policy: Mapped[dict[str, Any]] = mapped_column(Json)
    created_by_id: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
