"""What revision 0004 makes for the mailbox of agents; history, never changed."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table(
        "agent_messages",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("sender_agent_id", sa.String(length=36), nullable=True),
        sa.Column("sender_name", sa.String(length=255), nullable=False),
        sa.Column("sent_by_id", sa.String(length=64), nullable=False),
        sa.Column("recipient_agent_id", sa.String(length=36), nullable=True),
        sa.Column("channel", sa.String(length=64), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.String(length=36), nullable=True),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("origin", sa.String(length=160), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_agent_messages_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["recipient_agent_id"],
            ["agents.id"],
            name=op.f("fk_agent_messages_recipient_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["sender_agent_id"],
            ["agents.id"],
            name=op.f("fk_agent_messages_sender_agent_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_messages")),
        sa.UniqueConstraint(
            "project_id", "origin", name=op.f("uq_agent_messages_project_id_origin")
        ),
    )
    with op.batch_alter_table("agent_messages", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_agent_messages_project_id"), ["project_id"], unique=False
        )
        batch_op.create_index(
            "ix_agent_messages_project_id_channel_created_at",
            ["project_id", "channel", "created_at"],
            unique=False,
        )
        batch_op.create_index(
            "ix_agent_messages_project_id_created_at", ["project_id", "created_at"], unique=False
        )
        batch_op.create_index(
            "ix_agent_messages_recipient_agent_id_read_at",
            ["recipient_agent_id", "read_at"],
            unique=False,
        )
        batch_op.create_index(
            "ix_agent_messages_sender_agent_id", ["sender_agent_id"], unique=False
        )

    op.create_table(
        "message_readings",
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("agent_id", sa.String(length=36), nullable=False),
        sa.Column("origin", sa.String(length=160), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agents.id"],
            name=op.f("fk_message_readings_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["agent_messages.id"],
            name=op.f("fk_message_readings_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", "agent_id", name=op.f("pk_message_readings")),
    )


def downgrade() -> None:
    op.drop_table("message_readings")
    with op.batch_alter_table("agent_messages", schema=None) as batch_op:
        batch_op.drop_index("ix_agent_messages_sender_agent_id")
        batch_op.drop_index("ix_agent_messages_recipient_agent_id_read_at")
        batch_op.drop_index("ix_agent_messages_project_id_created_at")
        batch_op.drop_index("ix_agent_messages_project_id_channel_created_at")
        batch_op.drop_index(batch_op.f("ix_agent_messages_project_id"))

    op.drop_table("agent_messages")
