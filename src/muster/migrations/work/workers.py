"""What revision 0004 makes for machines that agents are bound to; history, never changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def upgrade() -> None:
    op.create_table(
        "worker_nodes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=True),
        sa.Column("ip_address", sa.String(length=64), nullable=True),
        sa.Column("max_agents", sa.Integer(), nullable=False),
        sa.Column("cpu_cores", sa.Integer(), nullable=True),
        sa.Column("memory_total_mb", sa.BigInteger(), nullable=True),
        sa.Column(
            "os_info", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True
        ),
        sa.Column("group", sa.String(length=255), nullable=True),
        sa.Column("is_approved", sa.Boolean(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by_id", sa.String(length=64), nullable=True),
        sa.Column("registered_by_id", sa.String(length=64), nullable=False),
        sa.Column("cpu_usage_percent", sa.Double(), nullable=True),
        sa.Column("memory_usage_percent", sa.Double(), nullable=True),
        sa.Column("disk_usage_percent", sa.Double(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_online", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_worker_nodes_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_nodes")),
        sa.UniqueConstraint("project_id", "name", name="uq_worker_nodes_project_id_name"),
    )
    with op.batch_alter_table("worker_nodes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_worker_nodes_project_id"), ["project_id"], unique=False
        )
        batch_op.create_index(
            "ix_worker_nodes_told_online_heartbeat_at",
            ["told_online", "heartbeat_at"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("worker_nodes", schema=None) as batch_op:
        batch_op.drop_index("ix_worker_nodes_told_online_heartbeat_at")
        batch_op.drop_index(batch_op.f("ix_worker_nodes_project_id"))

    op.drop_table("worker_nodes")
