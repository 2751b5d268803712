"""The migrations lead to the tables as they are declared, on both databases, and back."""

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Connection, MetaData, Table, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine
from tools.migration import differences, modules_with_tables, require_whole, tables

import muster.migrations
from muster.kernel.db import Database, Json
from muster.migrations import SchemaUnknown, current, downgrade, head, upgrade
from muster.migrations.upgrading import configuration
from tests.conftest import Template

VERSIONS = Path(muster.migrations.__file__).parent / "versions"

pytestmark = pytest.mark.anyio

PROGRAM = """
import asyncio, sys
from muster.migrations import upgrade
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(upgrade(sys.argv[1]))
"""


@pytest.fixture
def empty_url(template: Template, tmp_path: Path) -> Iterator[str]:
    """A database without a table."""
    if template.server is None:
        yield f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
        return
    url = template.server.create_database(template=None)
    yield url
    template.server.drop_database(url)


async def on(url: str, do: Any) -> Any:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        found = await connection.run_sync(do)
    await engine.dispose()
    return found


async def execute(url: str, statement: str) -> None:
    await on(url, lambda connection: connection.execute(text(statement)))


def table_names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


def described(connection: Connection) -> dict[str, Any]:
    """Describe every table, whatever the order of its parts."""
    seen = inspect(connection)

    def parts(found: Any) -> list[str]:
        return sorted(json.dumps(part, default=str, sort_keys=True) for part in found)

    return {
        name: {
            "columns": parts(seen.get_columns(name)),
            "primary key": str(seen.get_pk_constraint(name)),
            "foreign keys": parts(seen.get_foreign_keys(name)),
            "unique": parts(seen.get_unique_constraints(name)),
            "checks": parts(seen.get_check_constraints(name)),
            "indexes": parts(seen.get_indexes(name)),
        }
        for name in table_names(connection)
    }


async def test_no_revision_is_missing(empty_url: str) -> None:
    """If this fails, write one: .venv/bin/python -m tools.migration "what changes"."""
    await upgrade(empty_url)

    assert await differences(empty_url) == []


async def test_the_migrated_tables_are_the_declared_ones_in_every_part(
    empty_url: str,
) -> None:
    """Also what the comparison does not look at: checks, and conditions of indexes."""
    await on(empty_url, tables().create_all)
    declared = await on(empty_url, described)
    await on(empty_url, tables().drop_all)
    await upgrade(empty_url)

    assert await on(empty_url, described) == declared


async def test_the_comparison_sees_what_is_missing(empty_url: str) -> None:
    await upgrade(empty_url)
    await execute(empty_url, "DROP INDEX ix_events_subject")
    await execute(empty_url, "DROP TABLE event_chains")

    found = await differences(empty_url)

    assert {change[0] for change in found} == {"add_index", "add_table"}


async def test_every_revision_can_be_taken_back(empty_url: str) -> None:
    await upgrade(empty_url)
    first = await on(empty_url, described)
    await downgrade(empty_url)
    assert await on(empty_url, table_names) == set()
    assert await current(empty_url) is None
    await upgrade(empty_url)

    assert await on(empty_url, described) == first
    assert await current(empty_url) == head()


async def test_an_upgrade_that_is_done_changes_nothing(empty_url: str) -> None:
    database = Database(empty_url)
    assert await current(database) is None
    await upgrade(database)
    await execute(
        empty_url, f"INSERT INTO event_chains (chain, seq, hash) VALUES ('a', 1, '{'0' * 64}')"
    )
    await upgrade(database)
    async with database.read() as session:
        assert await session.scalar(text("SELECT seq FROM event_chains")) == 1
    await database.dispose()


def test_the_newest_revision_is_that_of_the_last_file() -> None:
    assert head() == ScriptDirectory.from_config(configuration()).get_current_head()


async def test_asking_makes_no_database(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "muster.db"

    assert await current(f"sqlite+aiosqlite:///{path}") is None
    assert not path.parent.exists()

    await upgrade(f"sqlite+aiosqlite:///{path}")
    assert await current(f"sqlite+aiosqlite:///{path}") == head()


async def test_many_upgrades_at_once_are_one(empty_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_url) for _ in range(4)))

    assert await current(empty_url) == head()
    assert await differences(empty_url) == []


async def test_two_processes_that_start_at_once_upgrade_once(empty_url: str) -> None:
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, empty_url, stdin=pipe, stdout=pipe, stderr=pipe
        )
        for _ in range(2)
    ]
    async with asyncio.timeout(60):
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        ends = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    assert [process.returncode for process in processes] == [0, 0], ends
    assert await differences(empty_url) == []


async def test_a_schema_of_a_newer_release_is_refused(empty_url: str) -> None:
    await upgrade(empty_url)
    await execute(empty_url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(SchemaUnknown, match=r"9999.*newer release"):
        await upgrade(empty_url)
    assert await current(empty_url) == "9999"


async def test_a_revision_that_breaks_leaves_everything_as_it_was(empty_url: str) -> None:
    await execute(empty_url, "CREATE TABLE agents (id INTEGER)")
    with pytest.raises(Exception, match="agents"):
        await upgrade(empty_url)

    assert await on(empty_url, table_names) == {"agents"}
    assert await current(empty_url) is None


async def test_broken_references_are_not_committed(tmp_path: Path) -> None:
    """On SQLite alone: there references are not enforced while a migration rewrites tables."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'broken.db'}"
    await upgrade(url)
    await execute(
        url,
        "INSERT INTO memberships (user_id, project_id, role, created_at) "
        "VALUES ('nobody', 'nothing', 'owner', '2026-01-01')",
    )

    with pytest.raises(RuntimeError, match="broken references in memberships"):
        await upgrade(url, head())


def test_every_declared_table_is_looked_at() -> None:
    found = {
        table.__tablename__
        for name in modules_with_tables()
        for table in vars(importlib.import_module(name)).values()
        if isinstance(table, type) and table.__module__ == name and hasattr(table, "__tablename__")
    }

    assert found == set(tables().tables)


async def test_a_revision_keeps_apart_what_postgresql_sorts_and_what_it_keeps_in_order(
    empty_url: str, tmp_path: Path
) -> None:
    """A revision is written on SQLite, where both are the same, and must be right on both."""
    declared = MetaData()
    in_order = Column("in_order", JSON(none_as_null=True), nullable=False)
    Table("documents", declared, Column("sorted", Json), in_order)

    def configured(connection: Connection) -> Any:
        config = configuration(connection=connection, metadata=declared)
        config.set_main_option("version_locations", str(tmp_path))
        return config

    def write(connection: Connection) -> None:
        command.revision(configured(connection), "documents", autogenerate=True, rev_id="0001")

    await on(f"sqlite+aiosqlite:///{tmp_path / 'schema.db'}", write)
    await on(empty_url, lambda connection: command.upgrade(configured(connection), "head"))

    migrated = await on(empty_url, described)
    await on(empty_url, declared.drop_all)
    await on(empty_url, declared.create_all)
    assert migrated == await on(empty_url, described)


def test_a_revision_that_is_split_is_not_written_anew() -> None:
    with pytest.raises(SystemExit, match=r"0001_spine\.py .*a revision of its own"):
        require_whole(VERSIONS / "0001_spine.py")

    require_whole(VERSIONS / "0003_oversight.py")
