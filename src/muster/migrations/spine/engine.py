"""What revision 0001 makes for the engine; history, never changed."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table(
        "executors",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.String(length=120), nullable=False),
        sa.Column("process_started", sa.String(length=60), nullable=False),
        sa.Column("version", sa.String(length=60), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeats", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_executors")),
    )
    op.create_index("ix_executors_stopped_at", "executors", ["stopped_at"], unique=False)
    op.create_table(
        "job_signals",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_signals")),
    )
    op.create_index(op.f("ix_job_signals_created_at"), "job_signals", ["created_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_job_signals_created_at"), table_name="job_signals")
    op.drop_table("job_signals")
    op.drop_index("ix_executors_stopped_at", table_name="executors")
    op.drop_table("executors")
