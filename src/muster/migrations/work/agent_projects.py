"""What revision 0004 makes for agents in the making; history, never changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def upgrade() -> None:
    op.create_table(
        "agent_projects",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("spec", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String(length=36), nullable=True),
        sa.Column("workflow_id", sa.String(length=36), nullable=True),
        sa.Column("published_version", sa.Integer(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_agent_projects_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_projects")),
        sa.UniqueConstraint("project_id", "key", name="uq_agent_projects_project_id_key"),
    )
    with op.batch_alter_table("agent_projects", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_agent_projects_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_agent_projects_project_id"), ["project_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("agent_projects", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_agent_projects_project_id"))
        batch_op.drop_index(batch_op.f("ix_agent_projects_owner_id"))

    op.drop_table("agent_projects")
