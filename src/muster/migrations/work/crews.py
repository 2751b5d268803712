"""What revision 0004 makes for crews, and what people think of them; history, never changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def upgrade() -> None:
    op.create_table(
        "crews",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("agents_yaml", sa.JSON(), nullable=True),
        sa.Column("tasks_yaml", sa.JSON(), nullable=True),
        sa.Column(
            "agent_ids", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column(
            "task_ids", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("nodes", sa.JSON(), nullable=False),
        sa.Column("edges", sa.JSON(), nullable=False),
        sa.Column("process", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=True),
        sa.Column("planning", sa.Boolean(), nullable=False),
        sa.Column("planning_llm", sa.String(length=255), nullable=True),
        sa.Column("reasoning", sa.Boolean(), nullable=False),
        sa.Column("reasoning_llm", sa.String(length=255), nullable=True),
        sa.Column("manager_llm", sa.String(length=255), nullable=True),
        sa.Column("manager_agent", sa.String(length=255), nullable=True),
        sa.Column("tool_configs", sa.JSON(), nullable=False),
        sa.Column("memory", sa.Boolean(), nullable=False),
        sa.Column("verbose", sa.Boolean(), nullable=False),
        sa.Column("max_rpm", sa.Integer(), nullable=True),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_crews_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crews")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_crews_project_id_name")),
    )
    with op.batch_alter_table("crews", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_crews_project_id"), ["project_id"], unique=False)
        batch_op.create_index(
            "ix_crews_project_id_created_at", ["project_id", "created_at"], unique=False
        )

    op.create_table(
        "crew_feedback",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("crew_id", sa.String(length=36), nullable=False),
        sa.Column("rating", sa.String(length=4), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_by_id", sa.String(length=64), nullable=False),
        sa.Column("created_by_name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["crew_id"], ["crews.id"], name=op.f("fk_crew_feedback_crew_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_crew_feedback_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crew_feedback")),
    )
    with op.batch_alter_table("crew_feedback", schema=None) as batch_op:
        batch_op.create_index(
            "ix_crew_feedback_crew_id_created_at", ["crew_id", "created_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_crew_feedback_project_id"), ["project_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("crew_feedback", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_crew_feedback_project_id"))
        batch_op.drop_index("ix_crew_feedback_crew_id_created_at")

    op.drop_table("crew_feedback")
    with op.batch_alter_table("crews", schema=None) as batch_op:
        batch_op.drop_index("ix_crews_project_id_created_at")
        batch_op.drop_index(batch_op.f("ix_crews_project_id"))

    op.drop_table("crews")
