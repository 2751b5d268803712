"""What revision 0004 adds to the runs; history, never changed."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("target_id", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_runs_target_id_created_at", ["target_id", "created_at"], unique=False
        )
        batch_op.create_index(
            "ix_runs_wake_at",
            ["wake_at"],
            unique=False,
            postgresql_where=sa.text("wake_at IS NOT NULL"),
            sqlite_where=sa.text("wake_at IS NOT NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index("ix_runs_wake_at")
        batch_op.drop_index("ix_runs_target_id_created_at")
        batch_op.drop_column("wake_at")
        batch_op.drop_column("target_id")
