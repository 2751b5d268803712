"""Run by Alembic: applies revisions, or compares tables, over the connection that it is given."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON
from sqlalchemy.dialects import postgresql

from muster.kernel.db import UTCDateTime


def render_type(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    """Write our types as what they are in the database: a revision must not change with the code."""
    if kind != "type":
        return False
    if isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, JSON):
        if not isinstance(item.dialect_impl(postgresql.dialect()), postgresql.JSONB):
            return "sa.JSON()"
        autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes.get("metadata"),
    render_as_batch=attributes.get("render_as_batch", True),
    compare_type=True,
    compare_server_default=True,
    render_item=render_type,
    # The transaction is begun by the caller, around all revisions.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
