"""What revision 0004 makes for sessions of agents and people; history, never changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def upgrade() -> None:
    op.create_table(
        "collaborations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column(
            "context", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("created_by_id", sa.String(length=64), nullable=False),
        sa.Column("created_by_name", sa.String(length=255), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by_name", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_collaborations_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collaborations")),
    )
    with op.batch_alter_table("collaborations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_collaborations_project_id"), ["project_id"], unique=False
        )
        batch_op.create_index(
            "ix_collaborations_project_id_created_at", ["project_id", "created_at"], unique=False
        )

    op.create_table(
        "collaboration_messages",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("collaboration_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String(length=36), nullable=True),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=255), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("message_type", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("origin", sa.String(length=160), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collaboration_id"],
            ["collaborations.id"],
            name=op.f("fk_collaboration_messages_collaboration_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collaboration_messages")),
        sa.UniqueConstraint(
            "collaboration_id",
            "origin",
            name=op.f("uq_collaboration_messages_collaboration_id_origin"),
        ),
        sa.UniqueConstraint(
            "collaboration_id", "seq", name=op.f("uq_collaboration_messages_collaboration_id_seq")
        ),
    )
    op.create_table(
        "collaboration_participants",
        sa.Column("collaboration_id", sa.String(length=36), nullable=False),
        sa.Column("agent_id", sa.String(length=36), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.id"],
            name=op.f("fk_collaboration_participants_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["collaboration_id"],
            ["collaborations.id"],
            name=op.f("fk_collaboration_participants_collaboration_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "collaboration_id", "agent_id", name=op.f("pk_collaboration_participants")
        ),
    )
    with op.batch_alter_table("collaboration_participants", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_collaboration_participants_agent_id"), ["agent_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("collaboration_participants", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_collaboration_participants_agent_id"))

    op.drop_table("collaboration_participants")
    op.drop_table("collaboration_messages")
    with op.batch_alter_table("collaborations", schema=None) as batch_op:
        batch_op.drop_index("ix_collaborations_project_id_created_at")
        batch_op.drop_index(batch_op.f("ix_collaborations_project_id"))

    op.drop_table("collaborations")
