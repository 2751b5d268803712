"""Databases: SQLite and PostgreSQL as equals, one unit of work, rows that belong to a project."""

from muster.kernel.db.base import (
    Base,
    Json,
    ProjectRecord,
    Record,
    UTCDateTime,
)
from muster.kernel.db.database import Database, after_commit, before_commit
from muster.kernel.db.prepared import Prepared
from muster.kernel.db.repository import Repository, is_unique_violation
from muster.kernel.db.sqlite_driver import sqlite_connection

__all__ = [
    "Base",
    "Database",
    "Json",
    "Prepared",
    "ProjectRecord",
    "Record",
    "Repository",
    "UTCDateTime",
    "after_commit",
    "before_commit",
    "is_unique_violation",
    "sqlite_connection",
]
