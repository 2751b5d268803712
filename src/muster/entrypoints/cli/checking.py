"""What `muster doctor` looks at. It changes nothing, and makes nothing that is not there."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table
from rich.text import Text
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from muster.adapters.models import ModelFailed, ModelTimeout, ProviderConfig, list_models
from muster.adapters.sandbox import sandbox_layers
from muster.domains.catalogue.models import Environment, providers_from_environment
from muster.entrypoints.cli.local import at_work, label, sqlite_path
from muster.entrypoints.cli.options import read_settings
from muster.entrypoints.cli.schema import revisions
from muster.entrypoints.cli.screen import counted
from muster.entrypoints.cli.terminal import OUT, say, show_json
from muster.entrypoints.serving import holder
from muster.kernel.crypto import MasterKey, MasterKeyInvalid
from muster.kernel.db import Database
from muster.kernel.egress import Egress, EgressPolicy
from muster.kernel.settings import Providers, Settings, UnsafeSettings
from muster.platform.vault.models import Secret

State = Literal["ok", "warn", "fail"]

_PYTHON = (3, 11)
_LITTLE_MB, _TOO_LITTLE_MB = 1024, 100
_PATIENCE_S = 5.0
_STYLES: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one place, and what to do about it."""

    name: str
    state: State
    text: str
    advice: str = ""


async def examine() -> list[Finding]:
    """Look at everything."""
    found = [_python()]
    try:
        settings = read_settings()
        settings.refuse_unsafe()
    except UnsafeSettings as error:
        return [*found, Finding("settings", "fail", str(error), "Change the setting it names.")]
    found += [Finding("settings", "ok", "safe"), *_folder(settings)]
    found += await _database(settings)
    found += [await _port(settings), await asyncio.to_thread(_sandbox)]
    return found + await _providers(settings)


def show_findings(findings: list[Finding], *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        show_json([asdict(finding) for finding in findings])
        return
    if not OUT.is_terminal:
        for finding in findings:
            advice = f" -> {finding.advice}" if finding.advice else ""
            say(f"{finding.state:<4}  {finding.name:<15} {finding.text}{advice}")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        words = Text(finding.text)
        if finding.advice:
            words.append(f"\n{finding.advice}", style="italic")
        table.add_row(Text(finding.state, style=_STYLES[finding.state]), finding.name, words)
    OUT.print(table)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _PYTHON:
        return Finding("python", "ok", version)
    return Finding("python", "fail", version, "Muster needs Python 3.11 or newer.")


def _folder(settings: Settings) -> list[Finding]:
    folder = settings.data_dir.resolve()
    present = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(present, os.W_OK | os.X_OK) or not present.is_dir():
        advice = f"Let this user write to {present}, or name another folder with --data-dir."
        return [Finding("data folder", "fail", f"{folder} cannot be written", advice)]
    what = str(folder) if present == folder else f"{folder} will be made"
    return [Finding("data folder", "ok", what), _space(present)]


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free // 2**20
    words = f"{free / 1024:,.1f} GB free"
    if free < _TOO_LITTLE_MB:
        return Finding("disk", "fail", words, "Free some space: writes will fail soon.")
    if free < _LITTLE_MB:
        return Finding("disk", "warn", words, "Free some space before it runs out.")
    return Finding("disk", "ok", words)


async def _database(settings: Settings) -> list[Finding]:
    path = sqlite_path(settings)
    if path is not None and not path.exists():
        return [Finding("database", "ok", "not there yet; `muster serve` makes it")]
    async with _connected(settings) as database:
        try:
            found = [await _reachable(database)]
        except (DBAPIError, OSError, TimeoutError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            advice = "Start the database server, or correct MUSTER_DATABASE_URL."
            if path is not None:
                advice = f"Restore {path} from a backup."
            return [Finding("database", "fail", f"cannot be reached: {cause}", advice)]
        schema = await _schema(settings)
        found.append(schema)
        if schema.state == "ok":
            found += [await _master_key(settings, database), *await _engine(settings, database)]
        return found


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncGenerator[Database]:
    database = Database(settings.database, pool_size=1)
    try:
        yield database
    finally:
        await database.dispose()


async def _reachable(database: Database) -> Finding:
    async with asyncio.timeout(_PATIENCE_S), database.read() as session:
        if not database.is_sqlite:
            version = await session.scalar(text("SHOW server_version"))
            return Finding("database", "ok", f"PostgreSQL {version}")
        mode = await session.scalar(text("PRAGMA journal_mode"))
    if mode == "wal":
        return Finding("database", "ok", "SQLite, journal_mode WAL")
    advice = "Put the data folder on a local disk: readers and the writer wait for each other."
    return Finding("database", "warn", f"SQLite, journal_mode {mode}", advice)


async def _schema(settings: Settings) -> Finding:
    found, newest = await revisions(settings)
    if found == newest:
        return Finding("schema", "ok", f"{found}, the newest")
    text = f"{found or 'none'}; this version of Muster has {newest}"
    return Finding("schema", "fail", text, "Run `muster db upgrade`.")


async def _master_key(settings: Settings, database: Database) -> Finding:
    async with database.read() as session:
        used = set(await session.scalars(select(Secret.key_id).distinct()))
    path = settings.data_dir / "master.key"
    if settings.master_key is None and not path.exists():
        if not used:
            return Finding("master key", "ok", "not there yet; the next start makes it")
        advice = f"Restore {path} from a backup, or set MUSTER_MASTER_KEY."
        return Finding("master key", "fail", "missing, and secrets are sealed with it", advice)
    given = settings.master_key.get_secret_value() if settings.master_key else None
    try:
        key = MasterKey.load(given, path)
    except (MasterKeyInvalid, OSError) as error:
        return Finding("master key", "fail", str(error), "Put the right key back.")
    if used - {key.id}:
        advice = "Put back the key from the time when the secrets were stored."
        return Finding("master key", "fail", "secrets are sealed with another key", advice)
    return Finding("master key", "ok", f"fits {counted(len(used), 'key')} in use" if used else "ok")


async def _engine(settings: Settings, database: Database) -> list[Finding]:
    now = await at_work(database, settings.runs.lease_s)
    if now.executors:
        who = ", ".join(f"process {e.pid} on {e.host}" for e in now.executors[:5])
        found = [Finding("engine", "ok", f"{counted(len(now.executors), 'executor')}: {who}")]
    else:
        found = [Finding("engine", "ok", "no process executes runs now; `muster serve` does")]
    if now.orphans:
        names = ", ".join(label(run) for run in now.orphans[:3])
        words = f"{counted(len(now.orphans), 'run')} lost the process: {names}"
        advice = "`muster serve` and `muster runs resume ID` go on with them."
        found.append(Finding("runs", "warn", words, advice))
    return found


async def _port(settings: Settings) -> Finding:
    place = f"{settings.host}:{settings.port}"
    other = holder(settings.data_dir)
    if other is not None:
        words = f"a {other.get('role')} is up (process {other.get('pid')})"
        return Finding("server", "ok", words)
    try:
        server = await asyncio.start_server(_hang_up, settings.host, settings.port)
    except OSError as error:
        advice = "Choose another one with --port, or end the program that has it."
        return Finding("port", "warn", f"{place}: {error.strerror or error}", advice)
    server.close()
    return Finding("port", "ok", f"{place} is free")


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def _sandbox() -> Finding:
    layers = sandbox_layers()
    active = [name for name, works in layers.items() if works]
    missing = [name for name, works in layers.items() if not works]
    if not missing:
        return Finding("sandbox", "ok", ", ".join(active))
    words = f"{', '.join(active) or 'no layer'} active; {', '.join(missing)} not"
    advice = "Tools written in Python are less confined, or refused, on this system."
    return Finding("sandbox", "warn", words, advice)


async def _providers(settings: Settings) -> list[Finding]:
    try:
        configured = providers_from_environment(Providers())
    except UnsafeSettings as error:
        return [Finding("providers", "fail", str(error), "Correct the address.")]
    if not configured:
        words = "none set up; builtin/extractive works without one"
        return [Finding("providers", "ok", words)]
    environment = Environment(configured, settings.runtime_profile)
    egress = Egress(EgressPolicy(settings.egress_allow))
    try:
        return list(await asyncio.gather(*(_provider(c, environment, egress) for c in configured)))
    finally:
        await egress.aclose()


async def _provider(config: ProviderConfig, environment: Environment, egress: Egress) -> Finding:
    name = f"provider {config.name}"
    if environment.blocks(config):
        advice = "Unset MUSTER_RUNTIME_PROFILE=offline to use it."
        return Finding(name, "warn", "refused by the runtime profile offline", advice)
    try:
        models = await list_models(
            config, egress.client(trusted=config.trusted), timeout_s=_PATIENCE_S
        )
    except (ModelFailed, ModelTimeout) as error:
        return Finding(name, "warn", error.detail, "Check the key, the address and the network.")
    return Finding(name, "ok", f"lists {counted(len(models), 'model')}")
