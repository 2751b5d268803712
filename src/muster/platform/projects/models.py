"""Tables of projects and their members."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from muster.kernel import clock
from muster.kernel.db import Base, Record, UTCDateTime
from muster.platform.access import ProjectRole
from muster.platform.identity import User


class Project(Record):
    """A tenant. A personal one is made with its user and goes with its user."""

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str | None] = mapped_column(Text, default=None)
    is_personal: Mapped[bool] = mapped_column(default=False)


class Membership(Base):
    """A user's role in a project."""

    __tablename__ = "memberships"
    __table_args__ = (
        CheckConstraint("role IN ('viewer', 'operator', 'editor', 'owner')", name="role"),
        Index("ix_memberships_project_id_role", "project_id", "role"),
    )

    user_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

    project: Mapped[Project] = relationship(lazy="raise", viewonly=True)
    user: Mapped[User] = relationship(lazy="raise", viewonly=True)

    @property
    def project_role(self) -> ProjectRole:
        return ProjectRole(self.role)
