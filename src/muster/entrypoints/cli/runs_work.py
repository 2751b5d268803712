"""What the commands of `muster runs` do."""

from dataclasses import dataclass

from rich.text import Text
from sqlalchemy import select

from muster.domains.work.journal import JournalReader, Run, RunStatus
from muster.domains.work.runs import StopRequest, present
from muster.domains.work.runs.views import Trace, build_trace
from muster.entrypoints.cli.executing import Style, conclude, show_answer
from muster.entrypoints.cli.failures import INTERRUPTED
from muster.entrypoints.cli.interrupting import Interrupted, interruptible
from muster.entrypoints.cli.local import Installation, label, opened
from muster.entrypoints.cli.screen import RunScreen, summary
from muster.entrypoints.cli.steps import shown_step
from muster.entrypoints.cli.terminal import (
    OUT,
    Refusal,
    ago,
    dollars,
    say,
    seconds,
    short_id,
    show_json,
    show_table,
    shown_id,
    tell,
)
from muster.entrypoints.cli.watching import Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list."""

    status: str | None
    agent: str | None
    limit: int
    project: str | None

    def statuses(self) -> list[str]:
        """Return the statuses asked for."""
        names = [n.strip().lower() for n in (self.status or "").split(",") if n.strip()]
        known = [status.value for status in RunStatus]
        if unknown := [name for name in names if name not in known]:
            raise Refusal(
                f"There is no status {unknown[0]!r}. Those that exist: {', '.join(known)}."
            )
        return names


async def show_runs(wanted: RunFilter, *, as_json: bool) -> None:
    """Print a list of runs."""
    async with opened() as installation:
        runs = await _find_runs(installation, wanted)
        projects = await installation.project_names()
    if as_json:
        show_json([present(run).model_dump(mode="json") for run in runs])
        return
    rows = [
        (
            shown_id(run.id),
            run.status.replace("_", " "),
            run.name,
            projects.get(run.project_id, "-"),
            seconds(present(run).duration_ms),
            dollars(present(run).usage.cost),
            ago(run.created_at),
        )
        for run in runs
    ]
    columns = ("ID", "STATUS", "NAME", "PROJECT", "TIME", "COST", "CREATED")
    show_table(columns, rows, empty="There are no such runs.")


async def _find_runs(installation: Installation, wanted: RunFilter) -> list[Run]:
    statement = select(Run).order_by(Run.created_at.desc(), Run.id.desc()).limit(wanted.limit)
    if statuses := wanted.statuses():
        statement = statement.where(Run.status.in_(statuses))
    if wanted.project:
        project = await installation.project(wanted.project)
        statement = statement.where(Run.project_id == project.id)
    if wanted.agent:
        agent = await installation.agent(wanted.agent, wanted.project)
        statement = statement.where(Run.agent_id == agent.id)
    async with installation.database.read() as session:
        return list(await session.scalars(statement))


async def show_run(reference: str, *, trace: bool, as_json: bool) -> None:
    """Print a run."""
    async with opened() as installation:
        run = await installation.run(reference)
        if as_json:
            spans = await _trace(installation, run) if trace else None
            shown = present(run).model_dump(mode="json")
            show_json({**shown, "trace": spans.model_dump(mode="json")} if spans else shown)
            return
        await _print_run(installation, run)
        if trace:
            _print_trace(await _trace(installation, run))
        else:
            await _print_steps(installation, run)
    if run.result is not None:
        say()
        show_answer(run)


async def _trace(installation: Installation, run: Run) -> Trace:
    async with installation.database.read() as session:
        rows = list(await JournalReader(session).steps(run.id))
    return await build_trace(run, rows, installation.parts.blobs, more=False)


async def _print_run(installation: Installation, run: Run) -> None:
    projects = await installation.project_names()
    out = present(run)
    facts = [
        ("id", run.id),
        ("status", run.status + (f": {run.status_reason}" if run.status_reason else "")),
        ("agent", f"{out.agent_name} (version {run.agent_version}), model {out.model}"),
        ("project", projects.get(run.project_id, run.project_id)),
        ("started by", f"{run.started_by_name}, {ago(run.created_at)}"),
        ("took", summary(run)),
    ]
    if run.origin_run_id:
        facts.append((run.origin, f"of {run.origin_run_id}"))
    say(run.name, style="bold")
    for name, value in facts:
        say(f"  {name.ljust(11)} {value}")
    for name, value in out.inputs.items():
        say(f"  {'input'.ljust(11)} {name} = {value}")


async def _print_steps(installation: Installation, run: Run) -> None:
    async with installation.database.read() as session:
        rows = await JournalReader(session).steps(run.id)
    screen = RunScreen(OUT, live=False)
    say()
    for row in rows:
        screen.finished(await shown_step(row, installation.parts.blobs))


def _print_trace(trace: Trace) -> None:
    for span in trace.spans:
        say()
        say(
            f"{span.seq:>4}  {span.kind}  {span.name}  [{span.step_status}]  "
            f"{seconds(span.duration_ms)}",
            style="bold",
        )
        values = (
            ("input", span.input),
            ("output", span.output),
            ("decision", span.decision),
            ("error", span.error),
        )
        for name, value in values:
            if value is not None:
                OUT.print(Text(f"      {name.ljust(9)}{value}"), soft_wrap=True)
        OUT.print(Text(f"      hash     {span.hash}", style="dim"), soft_wrap=True)


async def watch(reference: str, style: Style) -> int:
    """Show a run that another process executes, to its end."""
    async with opened() as installation:
        run = await installation.run(reference)
        if not run.is_final and not await installation.executors():
            tell(
                "No process executes runs now. `muster serve` does, and so does "
                f"`muster runs resume {short_id(run.id)}`.",
                style="yellow",
            )
        with style.screen() as screen:
            screen.title(label(run))
            watcher = Watcher(installation, run.id, screen, ask=False, stay=True)
            try:
                run = await interruptible(watcher.watch())
            except Interrupted:
                return INTERRUPTED
        return await conclude(installation, run, style)


async def cancel(reference: str, reason: str | None) -> None:
    """End a run at once."""
    async with opened("submit") as installation:
        run = await installation.run(reference)
        caller = await installation.caller(run.project_id)
        async with installation.database.write() as session:
            run = await installation.runs(session, caller).cancel(run.id, reason)
    say(f"{label(run)} is {run.status}.")


async def stop(reference: str, reason: str | None, *, force: bool) -> None:
    """Stop a run and keep what it has reached."""
    body = StopRequest(stop_type="force" if force else "graceful", reason=reason)
    async with opened("submit") as installation:
        run = await installation.run(reference)
        caller = await installation.caller(run.project_id)
        async with installation.database.write() as session:
            run, message, _ = await installation.runs(session, caller).stop(run.id, body)
    say(f"{label(run)}: {message}.")
