"""Tables of budgets, of what they were used for, and of what is held for calls under way.

Money is stored in whole billionths of a US dollar. Floats drift when many small sums are added, and
SQLite would keep decimals as floats; integers add up exactly on both databases. A millionth would
be too coarse: a token of a cheap model costs less than that.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Base, Json, ProjectRecord, UTCDateTime


class Budget(ProjectRecord):
    """A limit on what may be spent. `target_id` is empty where the scope needs none."""

    __tablename__ = "budgets"
    __table_args__ = (UniqueConstraint("project_id", "scope", "target_id", "period"),)

    name: Mapped[str] = mapped_column(String(255))
    scope: Mapped[str] = mapped_column(String(16))
    target_id: Mapped[str] = mapped_column(String(64), default="")
    period: Mapped[str] = mapped_column(String(8))
    limit_nanos: Mapped[int] = mapped_column(BigInteger)
    thresholds: Mapped[list[int]] = mapped_column(Json)
    enforcement: Mapped[str] = mapped_column(String(8))
    enabled: Mapped[bool] = mapped_column(default=True)


class BudgetUsage(Base):
    """What one budget was used for in one window: a month, a day, or a run.

    `alerted` is the highest threshold that was told, in percent.
    """

    __tablename__ = "budget_usage"

    budget_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("budgets.id", ondelete="CASCADE"), primary_key=True
    )
    window: Mapped[str] = mapped_column(String(36), primary_key=True)
    spent: Mapped[int] = mapped_column(BigInteger, default=0)
    held: Mapped[int] = mapped_column(BigInteger, default=0)
    unpriced_calls: Mapped[int] = mapped_column(default=0)
    alerted: Mapped[int] = mapped_column(default=0)
    exceeded: Mapped[bool] = mapped_column(default=False)


class BudgetHold(Base):
    """What is held for one call until it is known what it cost.

    Bound to the usage and not to the budget: whoever takes a hold has locked that row already.
    """

    __tablename__ = "budget_holds"
    __table_args__ = (
        ForeignKeyConstraint(
            ["budget_id", "window"],
            ["budget_usage.budget_id", "budget_usage.window"],
            ondelete="CASCADE",
        ),
        Index("ix_budget_holds_budget_id_window", "budget_id", "window"),
    )

    budget_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    step_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    window: Mapped[str] = mapped_column(String(36))
    amount: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
