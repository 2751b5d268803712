"""Spine."""

from muster.migrations.spine import (
    agents,
    approvals,
    engine,
    events,
    idempotency,
    identity,
    journal,
    models,
    projects,
    tools,
    vault,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# What refers to a table comes after it.
PARTS = (
    events,
    engine,
    idempotency,
    projects,
    identity,
    vault,
    agents,
    models,
    tools,
    approvals,
    journal,
)


def upgrade() -> None:
    for part in PARTS:
        part.upgrade()


def downgrade() -> None:
    for part in reversed(PARTS):
        part.downgrade()
