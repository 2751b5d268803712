"""What revision 0004 makes for reviews of code; history, never changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def upgrade() -> None:
    op.create_table(
        "code_reviews",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("repository", sa.String(length=500), nullable=True),
        sa.Column("branch", sa.String(length=255), nullable=True),
        sa.Column("diff", sa.Text(), nullable=True),
        sa.Column(
            "files", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String(length=36), nullable=True),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("origin", sa.String(length=160), nullable=True),
        sa.Column("submitted_by_id", sa.String(length=64), nullable=False),
        sa.Column("submitted_by_name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("decided_by_id", sa.String(length=64), nullable=True),
        sa.Column("decided_by_name", sa.String(length=255), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_comment", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_code_reviews_agent_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_code_reviews_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_reviews")),
        sa.UniqueConstraint("project_id", "origin", name=op.f("uq_code_reviews_project_id_origin")),
    )
    with op.batch_alter_table("code_reviews", schema=None) as batch_op:
        batch_op.create_index("ix_code_reviews_agent_id", ["agent_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_code_reviews_project_id"), ["project_id"], unique=False
        )
        batch_op.create_index(
            "ix_code_reviews_project_id_status_created_at",
            ["project_id", "status", "created_at"],
            unique=False,
        )

    op.create_table(
        "code_review_comments",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("review_id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("file", sa.String(length=500), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["review_id"],
            ["code_reviews.id"],
            name=op.f("fk_code_review_comments_review_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_review_comments")),
    )
    with op.batch_alter_table("code_review_comments", schema=None) as batch_op:
        batch_op.create_index(
            "ix_code_review_comments_review_id_created_at",
            ["review_id", "created_at"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("code_review_comments", schema=None) as batch_op:
        batch_op.drop_index("ix_code_review_comments_review_id_created_at")

    op.drop_table("code_review_comments")
    with op.batch_alter_table("code_reviews", schema=None) as batch_op:
        batch_op.drop_index("ix_code_reviews_project_id_status_created_at")
        batch_op.drop_index(batch_op.f("ix_code_reviews_project_id"))
        batch_op.drop_index("ix_code_reviews_agent_id")

    op.drop_table("code_reviews")
