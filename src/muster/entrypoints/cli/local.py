"""The local installation: what commands do their work on, as its superadmin."""

import shutil
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import or_, select
from sqlalchemy.orm import InstrumentedAttribute

from muster.domains.catalogue.agents import Agent
from muster.domains.control.approvals import Approval
from muster.domains.work.journal import Run
from muster.domains.work.runs import RunParts, RunService
from muster.engine import Executor
from muster.engine.processes import ProcessMark
from muster.entrypoints.assembly import Muster
from muster.entrypoints.cli.options import DATA_DIR, read_settings
from muster.entrypoints.cli.schema import bring_up_to_date, require_current
from muster.entrypoints.cli.terminal import ERR, Refusal, short_id, show_box
from muster.entrypoints.running import EngineMode
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.logging import configure_logging
from muster.kernel.settings import Settings
from muster.platform.access import Caller, CallerKind, PlatformRole, ProjectRole, scopes_of
from muster.platform.identity import User
from muster.platform.projects import Project

_QUIET = "WARNING"


async def prepared(*, make: bool = False) -> Settings:
    """Return the settings of a command, with logs set up and a database that can be used.

    Args:
        make: Make the database, or bring it to the newest schema, where that is needed.
    """
    settings = read_settings()
    settings.refuse_unsafe()
    configure_logging(
        level=settings.log_level if "log_level" in settings.model_fields_set else _QUIET,
        json=settings.log_json,
    )
    if make:
        await bring_up_to_date(settings)
    else:
        _require_database(settings)
        await require_current(settings)
    return settings


@asynccontextmanager
async def opened(
    engine: EngineMode = "off", *, settings: Settings | None = None
) -> AsyncGenerator["Installation"]:
    """Yield the installation that the settings name.

    Args:
        engine: How this process takes part in the execution of runs.
        settings: What `prepared` returned, if it was called already.
    """
    async with Muster(settings or await prepared(), engine=engine) as muster:
        yield Installation(muster)


def _require_database(settings: Settings) -> None:
    path = sqlite_path(settings)
    if path is not None and not path.exists():
        raise Refusal(
            f"There is no database at {path} yet. Begin with `muster serve` or `muster run FILE`, "
            "or name the folder that has one with --data-dir."
        )


def sqlite_path(settings: Settings) -> Path | None:
    """Return the file of the database; None on PostgreSQL."""
    kind, _, path = settings.database.partition(":///")
    return Path(path) if kind.startswith("sqlite") else None


def program(settings: Settings) -> str:
    """Return how to call this program for this installation, as one would type it here."""
    called = Path(sys.argv[0])
    if called.name != "muster" or shutil.which("muster") == str(called.absolute()):
        called = Path("muster")
    with suppress(ValueError):
        called = called.absolute().relative_to(Path.cwd()) if called.is_absolute() else called
    given = DATA_DIR.get()
    return str(called) if given is None else f"{called} --data-dir {settings.data_dir}"


def show_first_password(
    settings: Settings, password: str | None, *, console: Console = ERR
) -> None:
    """Print the made-up password of the superadmin: it is stored nowhere in clear."""
    if password is None:
        return
    lines = [
        f"E-mail    {settings.admin.email}",
        f"Password  {password}",
        "",
        "It is shown this once. Keep it, or change it after signing in.",
    ]
    show_box("The superadmin of this installation", lines, console=console)


@dataclass(frozen=True, slots=True)
class AtWork:
    """Who executes runs now, and which runs lost the process that did."""

    executors: list[Executor]
    orphans: list[Run]


async def at_work(database: Database, lease_s: float) -> AtWork:
    """Look who executes runs, from outside: no engine needs to run here."""
    here, now = ProcessMark.own(), clock.now()
    async with database.read() as session:
        rows = await session.scalars(select(Executor).where(Executor.stopped_at.is_(None)))
        living = [row for row in rows if not _is_dead(row, here, now, lease_s)]
        statement = select(Run).where(
            Run.status.in_(["preparing", "running", "stopping"]),
            Run.parent_run_id.is_(None),
            Run.executor_id.not_in([row.id for row in living]),
        )
        return AtWork(living, list(await session.scalars(statement)))


def _is_dead(row: Executor, here: ProcessMark, now: datetime, lease_s: float) -> bool:
    if (row.host, row.boot) == (here.host, here.boot):
        return ProcessMark(row.host, row.boot, row.pid, row.process_started).is_gone(here)
    return (now - row.heartbeat_at).total_seconds() > lease_s


class Installation:
    """The product on this machine, used by whoever may read its data folder."""

    def __init__(self, muster: Muster) -> None:
        self.muster = muster
        self.database, self.settings = muster.database, muster.settings

    @property
    def parts(self) -> RunParts:
        """What runs need of this process."""
        return self.muster.running.parts

    async def operator(self) -> User:
        """Return the superadmin in whose name the command acts."""
        async with self.database.read() as session:
            statement = (
                select(User)
                .where(
                    User.role == PlatformRole.SUPERADMIN.value,
                    User.is_active,
                    User.deleted_at.is_(None),
                )
                .order_by(User.created_at, User.id)
                .limit(1)
            )
            found: User | None = await session.scalar(statement)
        if found is None:
            raise Refusal("No account is superadmin here. Start `muster serve` once: it makes one.")
        return found

    async def caller(self, project_id: str) -> Caller:
        """Return the superadmin as one who acts in a project."""
        user = await self.operator()
        return Caller(
            kind=CallerKind.USER,
            id=user.id,
            name=user.name,
            role=user.platform_role,
            project_id=project_id,
            project_role=ProjectRole.OWNER,
            scopes=scopes_of(user.platform_role, ProjectRole.OWNER),
        )

    async def project(self, reference: str | None) -> Project:
        """Return the project of this id or name; the superadmin's personal one by default."""
        user = await self.operator()
        async with self.database.read() as session:
            if reference is None:
                return await session.get_one(Project, user.personal_project_id)
            statement = select(Project).where(
                or_(Project.id == reference, Project.name == reference)
            )
            found = list(await session.scalars(statement))
            if len(found) == 1:
                return found[0]
            names = await session.scalars(select(Project.name).order_by(Project.name).limit(20))
            known = ", ".join(repr(name) for name in names)
        if found:
            ids = ", ".join(project.id for project in found)
            raise Refusal(f"{len(found)} projects are named {reference!r}; give the id: {ids}.")
        raise Refusal(f"There is no project {reference!r}. Those that exist: {known}.")

    async def project_names(self) -> dict[str, str]:
        """Return the names of all projects by id."""
        async with self.database.read() as session:
            rows = await session.execute(select(Project.id, Project.name))
            return {row.id: row.name for row in rows}

    async def run(self, reference: str) -> Run:
        """Return the run with this id, or whose id begins or ends so."""
        return await self._one(Run, reference, "run", "muster runs list")

    async def approval(self, reference: str) -> Approval:
        """Return the approval with this id, or whose id begins or ends so."""
        return await self._one(Approval, reference, "approval", "muster approvals list")

    async def agent(self, reference: str, project: str | None) -> Agent:
        """Return the agent with this id, key or name, or whose id begins or ends so."""
        within = (await self.project(project)).id if project else None
        named = or_(Agent.key == reference, Agent.name == reference)
        async with self.database.read() as session:
            statement = select(Agent).where(named, Agent.deleted_at.is_(None))
            if within:
                statement = statement.where(Agent.project_id == within)
            found = list(await session.scalars(statement))
        if len(found) == 1:
            return found[0]
        if found:
            raise Refusal(
                f"{len(found)} agents are named {reference!r}: "
                f"{', '.join(agent.id for agent in found)}. Give an id, or --project."
            )
        return await self._one(Agent, reference, "agent", "muster agents list")

    async def _one(self, model: Any, reference: str, noun: str, listing: str) -> Any:
        column: InstrumentedAttribute[str] = model.id
        text = reference.strip().lower()
        if not text:
            raise Refusal(f"Give the id of the {noun}; `{listing}` shows them.")
        async with self.database.read() as session:
            statement = select(model).where(
                or_(
                    column.startswith(text, autoescape=True),
                    column.endswith(text, autoescape=True),
                )
            )
            found: Sequence[Any] = (await session.scalars(statement.limit(4))).all()
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(row.id for row in found[:3])
            raise Refusal(f"Several ids of {noun}s begin or end with {reference!r}: {ids}, …")
        raise Refusal(f"There is no {noun} {reference!r}. `{listing}` shows those that exist.")

    async def executors(self) -> list[Executor]:
        """Return the processes that execute runs now."""
        return (await at_work(self.database, self.settings.runs.lease_s)).executors

    def runs(self, session: Any, caller: Caller) -> RunService:
        """Return the use cases of runs in a unit of work."""
        return RunService(session, caller, self.parts, timeout_s=self.settings.runs.timeout_s)


def label(run: Run) -> str:
    """Return how remarks name a run."""
    return f"{run.name} ({short_id(run.id)})"
