"""Migrations: one chain of schema revisions for SQLite and PostgreSQL."""

from muster.migrations.upgrading import SchemaUnknown, current, downgrade, head, upgrade

__all__ = ["SchemaUnknown", "current", "downgrade", "head", "upgrade"]
