"""Work."""

from muster.migrations.work import (
    agent_projects,
    collaboration,
    crews,
    dead_letters,
    journal,
    mailbox,
    marketplace,
    memories,
    prompts,
    reviews,
    tasks,
    triggers,
    workers,
    workflows,
)

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What refers to a table comes after it.
PARTS = (
    journal,
    tasks,
    crews,
    workflows,
    agent_projects,
    triggers,
    dead_letters,
    workers,
    marketplace,
    prompts,
    memories,
    mailbox,
    collaboration,
    reviews,
)


def upgrade() -> None:
    for part in PARTS:
        part.upgrade()


def downgrade() -> None:
    for part in reversed(PARTS):
        part.downgrade()
