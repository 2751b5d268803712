"""The example: a project with documents and an agent, and one run that shows what happens."""

import asyncio
import contextlib
import json
import logging
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from muster.domains.catalogue.agents import Agent, read_yaml
from muster.domains.work.journal import FINAL, Run, RunStatus
from muster.entrypoints.cli.deciding import can_ask
from muster.entrypoints.cli.executing import show_answer, store_agent
from muster.entrypoints.cli.local import Installation, program
from muster.entrypoints.cli.screen import RunScreen, summary
from muster.entrypoints.cli.terminal import OUT, Refusal, say, short_id
from muster.entrypoints.cli.watching import Watcher
from muster.kernel.ids import new_id
from muster.platform.access import Caller
from muster.platform.identity import Device, User, open_session
from muster.platform.identity.sessions import end_sessions
from muster.platform.projects import Membership, Project
from muster.platform.projects.schemas import ProjectCreate
from muster.platform.projects.service import ProjectService

PROJECT = "Example"
_AGENT = "document-analyst"
_FINAL = [status.value for status in FINAL]


def examples_folder() -> Path:
    """Return the folder of the examples: beside the source in a checkout, else in the package."""
    package = Path(__file__).parents[1]
    for folder in (package / "examples", package.parents[1] / "examples"):
        if (folder / "agents").is_dir():
            return folder
    raise Refusal("The examples are not part of this installation.")


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the example is."""

    caller: Caller
    agent: Agent


class Example:
    """Installs the example once, runs it once, and tells what happened.

    Args:
        installation: Where to.
        address: The server's address, whose API starts the run.
        password: The superadmin's password, if it was just made up.
    """

    def __init__(self, installation: Installation, address: str, password: str | None) -> None:
        self._installation, self._address = installation, address
        self._password = password

    async def show(self) -> None:
        """Install what is missing, have the agent answer its question, and say where to look."""
        installed = await self.install()
        run = await self._latest(installed, finished=False)
        if run is not None:
            say()
            say("The example run goes on where it stopped.", style="bold")
        elif (run := await self._latest(installed, finished=True)) is not None:
            say()
            say(f"The example was run before: {run.name} ({run.id}). It is not run again.")
            self._say_where(run)
            return
        else:
            run = await self._start(installed)
        await self._follow(run)

    async def install(self) -> Installed:
        """Make the project with its documents and its agent, unless they are there."""
        user = await self._installation.operator()
        folder = examples_folder()
        caller = await self._installation.caller(await self._project(user))
        documents = self._installation.settings.data_dir / "documents" / caller.project_id
        await asyncio.to_thread(_copy_once, folder / "documents", documents)
        async with self._installation.database.read() as session:
            statement = select(Agent).where(
                Agent.project_id == caller.project_id,
                Agent.key == _AGENT,
                Agent.deleted_at.is_(None),
            )
            agent = await session.scalar(statement)
        if agent is None:
            text = (folder / "agents" / f"{_AGENT}.yaml").read_text(encoding="utf-8")
            agent = await store_agent(self._installation, caller, read_yaml(text))
        return Installed(caller, agent)

    async def _project(self, user: User) -> str:
        async with self._installation.database.write() as session:
            statement = (
                select(Project.id)
                .join(Membership, Membership.project_id == Project.id)
                .where(Project.name == PROJECT, Membership.user_id == user.id)
                .order_by(Project.created_at)
            )
            known = await session.scalar(statement)
            if known is not None:
                return known
            caller = await self._installation.caller(user.personal_project_id or "")
            body = ProjectCreate(
                name=PROJECT, description="Documents of a small company, and an agent for them."
            )
            return (await ProjectService(session, caller).create(body)).id

    async def _latest(self, installed: Installed, *, finished: bool) -> Run | None:
        status = Run.status == RunStatus.COMPLETED.value if finished else Run.status.not_in(_FINAL)
        statement = (
            select(Run)
            .where(Run.agent_id == installed.agent.id, status)
            .order_by(Run.created_at.desc())
            .limit(1)
        )
        async with self._installation.database.read() as session:
            found: Run | None = await session.scalar(statement)
            return found

    async def _start(self, installed: Installed) -> Run:
        """Start the run as a client does: over HTTP, with a token."""
        muster, user = self._installation.muster, await self._installation.operator()
        device = Device(ip="127.0.0.1", user_agent="muster serve --example")
        async with muster.database.write() as session:
            opened, tokens = await open_session(session, muster.credentials, user, device)
        headers = {
            "Authorization": f"Bearer {tokens.access_token}",
            "X-Project-Id": installed.caller.project_id,
            "Idempotency-Key": new_id(),
        }
        client = muster.egress.client(trusted=True, base_url=self._address)
        body = {"agent_id": installed.agent.id, "inputs": installed.agent.spec["inputs"]}
        answer = await client.post("/api/v1/executions", json=body, headers=headers)
        async with muster.database.write() as session:
            await end_sessions(session, installed.caller, user.id, "signed_out", only=opened.id)
        if answer.status_code != 201:  # noqa: PLR2004
            raise Refusal(f"The example could not be started: {answer.text}")
        return await self._installation.run(answer.json()["execution_id"])

    async def _follow(self, run: Run) -> None:
        say()
        say(f"Question: {run.inputs.get('question', run.name)}", style="italic")
        screen = RunScreen(OUT, live=OUT.is_terminal)
        with _quiet(), screen:
            screen.title(f"{run.name}  {short_id(run.id)}")
            watcher = Watcher(self._installation, run.id, screen, ask=False, stay=not can_ask())
            run = await watcher.watch()
        say()
        if run.result is not None:
            show_answer(run)
            say()
        say(summary(run), style="green" if run.status == RunStatus.COMPLETED else "red")
        if run.status_reason:
            say(run.status_reason)
        self._say_where(run)

    def _say_where(self, run: Run) -> None:
        settings, muster = self._installation.settings, program(self._installation.settings)
        file = _shown(examples_folder() / "agents" / f"{_AGENT}.yaml")
        say()
        say("Where to look", style="bold")
        if settings.docs_enabled:
            say(f"  The API, to try out:     {self._address}/docs")
        say(f"  This run, step by step:  {muster} runs show {short_id(run.id)} --trace")
        say("  The same over the API:")
        for line in self._calls(run):
            say(f"    {line}")
        say("  The agent on a text of your own:")
        say(f"    {muster} run {file} --file YOUR.txt --input question='How much ...?'")
        say()

    def _calls(self, run: Run) -> list[str]:
        api, password = f"{self._address}/api/v1", self._password or "YOUR-PASSWORD"
        login = json.dumps({"email": self._installation.settings.admin.email, "password": password})
        read = 'import json, sys; print(json.load(sys.stdin)["access_token"])'
        return [
            f"TOKEN=$(curl -s {api}/auth/login -H 'Content-Type: application/json' \\",
            f"  -d '{login}' | python3 -c '{read}')",
            f"curl -s {api}/execution-trace/{run.id} \\",
            f"  -H \"Authorization: Bearer $TOKEN\" -H 'X-Project-Id: {run.project_id}'",
        ]


def _shown(path: Path) -> Path:
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path


def _copy_once(source: Path, target: Path) -> None:
    """Copy a folder as a whole or not at all; one that is there is left alone."""
    if target.exists():
        return
    draft = target.with_name(f".{target.name}.{new_id()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, draft)
    draft.rename(target)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Keep ordinary log lines out of a screen that is being redrawn."""
    root = logging.getLogger()
    level = root.level
    if OUT.is_terminal:
        root.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        root.setLevel(level)
