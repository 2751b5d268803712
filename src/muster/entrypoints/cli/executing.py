"""Executes runs in this process, with the same durability as a server, and shows them."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.domains.catalogue.agents import Agent, AgentService, read_yaml
from muster.domains.catalogue.agents.service import slug
from muster.domains.work.journal import Run, RunStatus
from muster.domains.work.runs import ExecutionCreate, ForkRequest, RunFile, present
from muster.entrypoints.cli.deciding import answers, can_ask, open_approvals, shown_facts
from muster.entrypoints.cli.failures import FAILED, INTERRUPTED, WAITING
from muster.entrypoints.cli.interrupting import Interrupted, interruptible
from muster.entrypoints.cli.local import (
    Installation,
    at_work,
    label,
    opened,
    prepared,
    show_first_password,
)
from muster.entrypoints.cli.options import read_text
from muster.entrypoints.cli.plan_files import read_plan
from muster.entrypoints.cli.screen import RunScreen, counted, summary
from muster.entrypoints.cli.terminal import (
    ERR,
    OUT,
    Refusal,
    say,
    short_id,
    show_json,
    tell,
)
from muster.entrypoints.cli.watching import Watcher
from muster.kernel.db import Database
from muster.kernel.settings import Settings
from muster.platform.access import Caller
from muster.platform.identity import ensure_superadmin

_LOOK_AGAIN_S = 0.1
_ODD = re.compile(r"^[^A-Za-z0-9_]|[^A-Za-z0-9_. -]")

Begin = Callable[[Installation], Awaitable[Run]]
"""Makes the run that is to be executed, or makes an existing one go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a run is shown: as JSON at its end, or the answer only, or every step as well."""

    json: bool = False
    live: bool = True

    def screen(self) -> RunScreen:
        """Return the screen for the run."""
        silent = self.json or not self.live
        return RunScreen(ERR, live=ERR.is_terminal, silent=silent)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRun:
    """A run of an agent file."""

    file: Path
    inputs: dict[str, str]
    files: list[Path]
    model: str | None
    project: str | None


async def execute(begin: Begin, style: Style, *, make: bool = False) -> int:
    """Execute a run here to its end and show it. Return the exit code of the command."""
    settings = await prepared(make=make)
    database = Database(settings.database)
    try:
        if make:
            show_first_password(settings, await ensure_superadmin(database, settings))
        before = await at_work(database, settings.runs.lease_s)
    finally:
        await database.dispose()
    alone = not before.executors
    if not alone:
        settings = _one_at_a_time(settings)
    async with opened("work", settings=settings) as installation:
        if alone:
            _tell_recovered(before.orphans)
        run = await begin(installation)
        return await _watch(installation, run, style, alone=alone)


def _one_at_a_time(settings: Settings) -> Settings:
    """Let this process execute its own run only, and leave what waits to the others."""
    runs = settings.runs.model_copy(update={"concurrency": 1, "project_concurrency": None})
    return settings.model_copy(update={"runs": runs})


def _tell_recovered(runs: list[Run]) -> None:
    if not runs:
        return
    names = ", ".join(label(run) for run in runs[:3]) + (", …" if len(runs) > 3 else "")  # noqa: PLR2004
    tell(f"Recovered {counted(len(runs), 'run')} of a process that is gone: {names}", style="cyan")


async def _watch(installation: Installation, run: Run, style: Style, *, alone: bool) -> int:
    with style.screen() as screen:
        screen.title(f"{run.name}  {short_id(run.id)}")
        watcher = Watcher(installation, run.id, screen, ask=can_ask() and not style.json)
        try:
            run = await interruptible(watcher.watch())
        except Interrupted:
            screen.pause()
            await _detach(installation, run)
            return INTERRUPTED
    code = await conclude(installation, run, style)
    if alone:
        await _finish_others(installation, run)
    return code


async def _detach(installation: Installation, run: Run) -> None:
    engine = installation.muster.running.engine
    if engine is not None:
        await engine.stop(grace_s=0)
    tell(
        f"Left. The run is kept where it is: `muster runs resume {short_id(run.id)}` goes on with "
        f"it here, `muster serve` does so too, `muster runs watch {short_id(run.id)}` looks on."
    )


async def _finish_others(installation: Installation, run: Run) -> None:
    """Let recovered runs come to their end: no other process would execute them."""
    engine = installation.muster.running.engine
    others = [job for job in engine.active() if job != run.job_id] if engine else []
    if engine is None or not others:
        return
    tell(f"{counted(len(others), 'recovered run')} still at work here; Ctrl-C leaves them as well.")

    async def wait() -> None:
        while any(job in engine.active() for job in others):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(_LOOK_AGAIN_S)

    try:
        await interruptible(wait())
    except Interrupted:
        await engine.stop(grace_s=0)


async def conclude(installation: Installation, run: Run, style: Style) -> int:
    """Show how a run came out. Return the exit code."""
    if style.json:
        show_json(present(run).model_dump(mode="json"))
    elif run.status == RunStatus.COMPLETED:
        show_answer(run)
    if run.status == RunStatus.WAITING_FOR_APPROVAL:
        await _tell_waiting(installation, run)
        return WAITING
    if not style.json:
        failed = run.status != RunStatus.COMPLETED
        tell(summary(run), style="red" if failed else "dim")
        if run.status_reason:
            tell(run.status_reason, style="red" if failed else "yellow")
    return 0 if run.status == RunStatus.COMPLETED else FAILED


def show_answer(run: Run) -> None:
    """Print the result of a run: Markdown for eyes, the plain text for programs."""
    if not isinstance(run.result, str):
        show_json(run.result)
    elif OUT.is_terminal:
        from rich.markdown import Markdown

        OUT.print(Markdown(run.result))
    else:
        say(run.result)


async def _tell_waiting(installation: Installation, run: Run) -> None:
    for approval in await open_approvals(installation, run.id):
        tell(approval.title, style="yellow")
        if approval.description:
            tell(approval.description)
        if facts := shown_facts(approval):
            tell(json.dumps(facts, ensure_ascii=False, default=str))
        for command in answers(approval):
            tell(f"  {command}")
    tell(
        f"The run waits for that. Once it is decided, `muster runs resume {short_id(run.id)}` or a "
        "server goes on with it."
    )


async def start_file(installation: Installation, wanted: FileRun) -> Run:
    """Make a run of what a file defines; an agent is stored first, and can be changed later."""
    plan = read_plan(wanted.file, wanted.inputs, wanted.files)
    spec = read_yaml(read_text(wanted.file)) if plan is None else None
    project = await installation.project(wanted.project)
    caller = await installation.caller(project.id)
    if plan is not None:
        body, paths = plan
        changes = {"model": wanted.model, "files": _run_files(paths)}
        return await create_run(installation, caller, body.model_copy(update=changes))
    assert spec is not None  # noqa: S101 - it is one or the other
    agent = await store_agent(installation, caller, spec)
    body = ExecutionCreate(
        agent_id=agent.id,
        inputs={**spec.inputs, **wanted.inputs},
        model=wanted.model,
        files=_run_files(wanted.files),
    )
    return await create_run(installation, caller, body)


def _run_files(paths: list[Path]) -> list[RunFile]:
    files = [RunFile(path=_ODD.sub("_", path.name), content=read_text(path)) for path in paths]
    names = [file.path for file in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refusal(f"Two files are named {twice[0]}; the run's workspace has room for one.")
    return files


async def store_agent(installation: Installation, caller: Caller, spec: Any) -> Agent:
    """Create the agent of a file, or change the one that has its key."""
    async with installation.database.write() as session:
        agents = AgentService(session, caller, installation.muster.master_key)
        known = await agents.find_key(spec.key or slug(spec.name))
        return await (agents.replace(known.id, spec) if known else agents.create(spec))


async def create_run(installation: Installation, caller: Caller, body: ExecutionCreate) -> Run:
    """Make a run and give it to the engine."""
    frozen = await installation.muster.launcher.freeze(caller.project_id, body)
    async with installation.database.write() as session:
        return await installation.runs(session, caller).create(body, frozen)


async def resume_run(installation: Installation, reference: str) -> Run:
    """Make a run go on that ended short, or whose process is gone."""
    run = await installation.run(reference)
    if run.status == RunStatus.COMPLETED:
        raise Refusal(
            f"The run is completed; `muster runs show {short_id(run.id)}` shows its answer and "
            f"`muster runs retry {short_id(run.id)}` runs it again."
        )
    if not run.is_final:
        return run  # the engine has found it already when its process is gone
    caller = await installation.caller(run.project_id)
    async with installation.database.write() as session:
        return await installation.runs(session, caller).resume(run.id)


async def retry_run(installation: Installation, reference: str) -> Run:
    """Run the same again from the beginning."""
    run = await installation.run(reference)
    caller = await installation.caller(run.project_id)
    async with installation.database.write() as session:
        return await installation.runs(session, caller).retry(run.id)


async def fork_run(installation: Installation, reference: str, body: ForkRequest) -> Run:
    """Make a run that shares the first steps of another; inputs not given stay as they were."""
    run = await installation.run(reference)
    if body.inputs is not None:
        body = body.model_copy(update={"inputs": {**run.inputs, **body.inputs}})
    caller = await installation.caller(run.project_id)
    async with installation.database.write() as session:
        return await installation.runs(session, caller).fork(run.id, body)
