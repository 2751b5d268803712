"""Governance."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_keys",
        sa.Column("id", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("master_key_id", sa.String(length=16), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_keys")),
        sa.UniqueConstraint("master_key_id", name=op.f("uq_audit_keys_master_key_id")),
    )
    op.create_table(
        "audit_tiles",
        sa.Column("chain", sa.String(length=36), nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "level", "position", name=op.f("pk_audit_tiles")),
    )
    op.create_table(
        "audit_trees",
        sa.Column("chain", sa.String(length=36), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_trees")),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("chain", sa.String(length=36), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["audit_keys.id"], name=op.f("fk_audit_checkpoints_key_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_checkpoints")),
        sa.UniqueConstraint("chain", "size", name=op.f("uq_audit_checkpoints_chain_size")),
    )
    op.create_table(
        "budgets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("target_id", sa.String(length=64), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("limit_nanos", sa.BigInteger(), nullable=False),
        sa.Column(
            "thresholds", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("enforcement", sa.String(length=8), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_budgets_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
        sa.UniqueConstraint(
            "project_id",
            "scope",
            "target_id",
            "period",
            name=op.f("uq_budgets_project_id_scope_target_id_period"),
        ),
    )
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_budgets_project_id"), ["project_id"], unique=False)

    op.create_table(
        "circuit_breakers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=360), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("failure_threshold", sa.Integer(), nullable=True),
        sa.Column("window_s", sa.Double(), nullable=True),
        sa.Column("open_s", sa.Double(), nullable=True),
        sa.Column("half_open_max", sa.Integer(), nullable=True),
        sa.Column("success_threshold", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("first_failure_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_failure_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("probed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("successes", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_circuit_breakers_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_circuit_breakers")),
        sa.UniqueConstraint("key", name=op.f("uq_circuit_breakers_key")),
    )
    with op.batch_alter_table("circuit_breakers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_circuit_breakers_project_id"), ["project_id"], unique=False
        )

    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("repeat_key", sa.String(length=64), nullable=False),
        sa.Column("policy_id", sa.String(length=36), nullable=True),
        sa.Column("policy_name", sa.String(length=255), nullable=False),
        sa.Column("rule_type", sa.String(length=64), nullable=True),
        sa.Column("agent_id", sa.String(length=36), nullable=True),
        sa.Column("environment", sa.String(length=32), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column(
            "details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("task_id", sa.String(length=255), nullable=True),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("step_name", sa.String(length=255), nullable=True),
        sa.Column("step_kind", sa.String(length=64), nullable=True),
        sa.Column("step_seq", sa.Integer(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_occurrence", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_occurrence", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("changed_by_id", sa.String(length=64), nullable=True),
        sa.Column("changed_by_name", sa.String(length=255), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_incidents_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_incidents_project_id"), ["project_id"], unique=False)
        batch_op.create_index(
            "ix_incidents_project_id_last_occurrence",
            ["project_id", "last_occurrence"],
            unique=False,
        )
        batch_op.create_index("ix_incidents_run_id", ["run_id"], unique=False)
        batch_op.create_index(
            "uq_incidents_project_id_repeat_key",
            ["project_id", "repeat_key"],
            unique=True,
            sqlite_where=sa.text("status <> 'resolved'"),
            postgresql_where=sa.text("status <> 'resolved'"),
        )

    op.create_table(
        "budget_usage",
        sa.Column("budget_id", sa.String(length=36), nullable=False),
        sa.Column("window", sa.String(length=36), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("unpriced_calls", sa.Integer(), nullable=False),
        sa.Column("alerted", sa.Integer(), nullable=False),
        sa.Column("exceeded", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["budget_id"],
            ["budgets.id"],
            name=op.f("fk_budget_usage_budget_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("budget_id", "window", name=op.f("pk_budget_usage")),
    )
    op.create_table(
        "external_tasks",
        sa.Column("agent_id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=255), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("is_conversation", sa.Boolean(), nullable=False),
        sa.Column("idle_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_external_tasks_agent_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_external_tasks_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
            name=op.f("fk_external_tasks_run_id"),
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("agent_id", "task_id", name=op.f("pk_external_tasks")),
        sa.UniqueConstraint("run_id", name=op.f("uq_external_tasks_run_id")),
    )
    with op.batch_alter_table("external_tasks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_external_tasks_idle_at"), ["idle_at"], unique=False)
        batch_op.create_index(
            "ix_external_tasks_project_id_task_id", ["project_id", "task_id"], unique=False
        )

    op.create_table(
        "incident_changes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("from_status", sa.String(length=16), nullable=True),
        sa.Column("to_status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("by_id", sa.String(length=64), nullable=False),
        sa.Column("by_name", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["incidents.id"],
            name=op.f("fk_incident_changes_incident_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_changes")),
    )
    with op.batch_alter_table("incident_changes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_incident_changes_incident_id"), ["incident_id"], unique=False
        )

    op.create_table(
        "policies",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("rule_type", sa.String(length=64), nullable=False),
        sa.Column(
            "params", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.String(length=24), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("enforcement", sa.String(length=24), nullable=True),
        sa.Column("generation", sa.String(length=1), nullable=False),
        sa.Column("agent_id", sa.String(length=36), nullable=True),
        sa.Column(
            "environments", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True
        ),
        sa.Column("risk_classification", sa.String(length=16), nullable=True),
        sa.Column("source_template", sa.String(length=64), nullable=True),
        sa.Column("manifest_name", sa.String(length=255), nullable=True),
        sa.Column("manifest_version", sa.String(length=64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name=op.f("fk_policies_agent_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_policies_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
    )
    with op.batch_alter_table("policies", schema=None) as batch_op:
        batch_op.create_index("ix_policies_agent_id", ["agent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_policies_project_id"), ["project_id"], unique=False)
        batch_op.create_index(
            "ix_policies_project_id_created_at", ["project_id", "created_at"], unique=False
        )

    op.create_table(
        "budget_holds",
        sa.Column("budget_id", sa.String(length=36), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("step_key", sa.String(length=64), nullable=False),
        sa.Column("window", sa.String(length=36), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["budget_id", "window"],
            ["budget_usage.budget_id", "budget_usage.window"],
            name=op.f("fk_budget_holds_budget_id_window"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("budget_id", "run_id", "step_key", name=op.f("pk_budget_holds")),
    )
    with op.batch_alter_table("budget_holds", schema=None) as batch_op:
        batch_op.create_index(
            "ix_budget_holds_budget_id_window", ["budget_id", "window"], unique=False
        )

    op.create_table(
        "policy_versions",
        sa.Column("policy_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "policy", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("created_by_id", sa.String(length=64), nullable=False),
        sa.Column("created_by_name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["policies.id"],
            name=op.f("fk_policy_versions_policy_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("policy_id", "version", name=op.f("pk_policy_versions")),
    )
    with op.batch_alter_table("agents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("account_id", sa.String(length=36), nullable=True))
        batch_op.drop_index("uq_agents_project_id_key")
        batch_op.create_index(
            "uq_agents_project_id_key",
            ["project_id", "key"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL AND account_id IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL AND account_id IS NULL"),
        )
        batch_op.create_index(
            "uq_agents_project_id_account_id_key",
            ["project_id", "account_id", "key"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL AND account_id IS NOT NULL"),
            postgresql_where=sa.text("deleted_at IS NULL AND account_id IS NOT NULL"),
        )


def downgrade() -> None:
    # Keys of registered agents may be those of others, which the older index does not allow.
    op.execute("UPDATE agents SET deleted_at = CURRENT_TIMESTAMP WHERE account_id IS NOT NULL")
    with op.batch_alter_table("agents", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_agents_project_id_account_id_key",
            sqlite_where=sa.text("deleted_at IS NULL AND account_id IS NOT NULL"),
            postgresql_where=sa.text("deleted_at IS NULL AND account_id IS NOT NULL"),
        )
        batch_op.drop_index("uq_agents_project_id_key")
        batch_op.create_index(
            "uq_agents_project_id_key",
            ["project_id", "key"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )
        batch_op.drop_column("account_id")

    op.drop_table("policy_versions")
    with op.batch_alter_table("budget_holds", schema=None) as batch_op:
        batch_op.drop_index("ix_budget_holds_budget_id_window")

    op.drop_table("budget_holds")
    with op.batch_alter_table("policies", schema=None) as batch_op:
        batch_op.drop_index("ix_policies_project_id_created_at")
        batch_op.drop_index(batch_op.f("ix_policies_project_id"))
        batch_op.drop_index("ix_policies_agent_id")

    op.drop_table("policies")
    with op.batch_alter_table("incident_changes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_incident_changes_incident_id"))

    op.drop_table("incident_changes")
    with op.batch_alter_table("external_tasks", schema=None) as batch_op:
        batch_op.drop_index("ix_external_tasks_project_id_task_id")
        batch_op.drop_index(batch_op.f("ix_external_tasks_idle_at"))

    op.drop_table("external_tasks")
    op.drop_table("budget_usage")
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_incidents_project_id_repeat_key",
            sqlite_where=sa.text("status <> 'resolved'"),
            postgresql_where=sa.text("status <> 'resolved'"),
        )
        batch_op.drop_index("ix_incidents_run_id")
        batch_op.drop_index("ix_incidents_project_id_last_occurrence")
        batch_op.drop_index(batch_op.f("ix_incidents_project_id"))

    op.drop_table("incidents")
    with op.batch_alter_table("circuit_breakers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_circuit_breakers_project_id"))

    op.drop_table("circuit_breakers")
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_budgets_project_id"))

    op.drop_table("budgets")
    op.drop_table("audit_checkpoints")
    op.drop_table("audit_trees")
    op.drop_table("audit_tiles")
    op.drop_table("audit_keys")
