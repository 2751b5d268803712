"""The table of access rules."""

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Record


class AccessRule(Record):
    """Who may use a thing, or may not. Rules hold on the whole platform.

    `scope_id` is a user's or project's id or the name of a role, so that no foreign key fits. A
    rule outlives whom it is about: it then matches nobody, and an allowing one still keeps others
    away.
    """

    __tablename__ = "access_rules"
    __table_args__ = (
        UniqueConstraint(
            "scope_type",
            "scope_id",
            "resource_type",
            "resource_id",
            "effect",
            "action",
            name="uq_access_rules_content",
        ),
    )

    scope_type: Mapped[str] = mapped_column(String(8))
    scope_id: Mapped[str] = mapped_column(String(36))
    resource_type: Mapped[str] = mapped_column(String(8))
    resource_id: Mapped[str] = mapped_column(String(255))
    effect: Mapped[str] = mapped_column(String(8))
    action: Mapped[str] = mapped_column(String(8))
    created_by_id: Mapped[str] = mapped_column(String(36))
