"""Writes the revision that brings the migrations up to the tables as they are declared.

    .venv/bin/python -m tools.migration "agents have a colour"
    .venv/bin/python -m tools.migration --again "agents have a colour"

The first adds a revision; read it before it is committed, above all what it does with rows that
are there. The second writes the newest revision anew, as one file, for one that nobody has yet.

A revision that grows beyond the longest file that is allowed is split by hand, as 0001 is: modules
of a package beside `versions` make the tables of a slice each, and the revision calls them. It is
history from then on and is not written anew: what changes later gets a revision of its own.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from muster.kernel.db import Base
from muster.migrations import downgrade, upgrade
from muster.migrations.upgrading import configuration

SOURCE = Path(__file__).resolve().parents[1] / "src"
_PARTS = re.compile(r"^from muster\.migrations\.", re.MULTILINE)
_NOISE = re.compile(r"^ *# ### .*\n", re.MULTILINE)


def modules_with_tables() -> list[str]:
    """Return the modules that declare tables, whether or not a router of theirs is mounted."""
    return [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in sorted((SOURCE / "muster").rglob("*.py"))
        if re.search(r"^    __tablename__ = ", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def tables() -> MetaData:
    """Return every table of the product."""
    for name in modules_with_tables():
        import_module(name)
    return Base.metadata


async def differences(url: str) -> list[Any]:
    """Return what a database lacks, or has too much, compared with the declared tables."""
    metadata = tables()

    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(compare)
    await engine.dispose()
    return found


async def write(message: str, *, again: bool) -> Path:
    """Write a revision and return its file; a SystemExit says why there is none to write."""
    revisions = list(ScriptDirectory.from_config(configuration()).walk_revisions())
    replaced = Path(revisions[0].path) if again and revisions else None
    old = ""
    if replaced:
        require_whole(replaced)
        old = replaced.read_text(encoding="utf-8")
        replaced.unlink()
        revisions = revisions[1:]
    number = f"{len(revisions) + 1:04d}"
    try:
        return await _write(message, number, first=not revisions)
    except BaseException:
        if replaced:
            replaced.write_text(old, encoding="utf-8")
        raise


def require_whole(revision: Path) -> None:
    """Refuse a revision that is split: written as one file it would leave its modules behind."""
    if _PARTS.search(revision.read_text(encoding="utf-8")):
        raise SystemExit(
            f"{revision.name} is split into modules and stays as it is. "
            "Leave out --again: what changed gets a revision of its own."
        )


async def _write(message: str, number: str, *, first: bool) -> Path:
    metadata = tables()

    def generate(connection: Connection) -> Path:
        # New tables need no batches, which exist to alter tables where that is not supported.
        config = configuration(connection=connection, metadata=metadata, render_as_batch=not first)
        script: Any = command.revision(
            config,
            message,
            autogenerate=True,
            rev_id=number,
            process_revision_directives=_refuse_nothing,
        )
        return Path(script.path)

    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/schema.db"
        if not first:
            await upgrade(url)
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            path = await connection.run_sync(generate)
        await engine.dispose()
    _tidy(path)
    await _try(path)
    return path


def _refuse_nothing(_: Any, __: Any, directives: list[Any]) -> None:
    if directives[0].upgrade_ops.is_empty():
        raise SystemExit("The tables are as the newest revision leaves them.")


def _tidy(path: Path) -> None:
    text = _NOISE.sub("", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([ruff, *arguments, path], check=True)  # noqa: S603


async def _try(path: Path) -> None:
    """Go up, compare, go down and up again on SQLite; PostgreSQL is the tests' business."""
    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/schema.db"
        await upgrade(url)
        left = await differences(url)
        await downgrade(url)
        await upgrade(url)
    if left:
        raise SystemExit(f"{path} does not lead to the declared tables: {left}")


def main() -> None:
    """Read the command line and write a revision."""
    parser = argparse.ArgumentParser(description="Write a revision of the database schema.")
    parser.add_argument("message", help="what changes, in a few words")
    parser.add_argument(
        "--again",
        action="store_true",
        help="write the newest revision anew, as one file; not one that is split into modules",
    )
    arguments = parser.parse_args()
    print(asyncio.run(write(arguments.message, again=arguments.again)).relative_to(Path.cwd()))


if __name__ == "__main__":
    main()
