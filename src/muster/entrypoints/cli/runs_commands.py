"""`muster runs`: looking at runs, and acting on them."""

import asyncio
from typing import Annotated

import typer

from muster.entrypoints.cli.options import (
    AsJson,
    InProject,
    Inputs,
    Model,
    NoLive,
    RunId,
    read_inputs,
)

app = typer.Typer(help="Look at runs, and act on them.", no_args_is_help=True)

Reason = Annotated[str | None, typer.Option("--reason", help="Why; kept with the run.")]


@app.command("list")
def list_runs(
    status: Annotated[
        str | None,
        typer.Option("--status", help="Only these, separated by commas: completed, failed, ..."),
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", help="Only runs of this agent: id, key or name.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most.")] = 20,
    project: InProject = None,
    as_json: AsJson = False,
) -> None:
    """List runs of all projects, newest first.

    Example: muster runs list --status failed,stopped --limit 5
    """
    from muster.entrypoints.cli.runs_work import RunFilter, show_runs

    wanted = RunFilter(status=status, agent=agent, limit=limit, project=project)
    asyncio.run(show_runs(wanted, as_json=as_json))


@app.command("show")
def show_run(
    run_id: RunId,
    trace: Annotated[bool, typer.Option("--trace", help="Every step with all that it holds.")] = (
        False
    ),
    as_json: AsJson = False,
) -> None:
    """Show a run: its steps, its answer, what it took.

    Example: muster runs show 3f2a9c1b7d04 --trace --json
    """
    from muster.entrypoints.cli.runs_work import show_run as show

    asyncio.run(show(run_id, trace=trace, as_json=as_json))


@app.command("watch")
def watch_run(run_id: RunId, as_json: AsJson = False, no_live: NoLive = False) -> None:
    """Look on while another process executes a run. Ctrl-C leaves the run alone.

    Example: muster runs watch 3f2a9c1b7d04
    """
    from muster.entrypoints.cli.executing import Style
    from muster.entrypoints.cli.runs_work import watch

    style = Style(json=as_json, live=not no_live)
    raise typer.Exit(asyncio.run(watch(run_id, style)))


@app.command("cancel")
def cancel_run(run_id: RunId, reason: Reason = None) -> None:
    """End a run at once, in whatever process it is.

    Example: muster runs cancel 3f2a9c1b7d04 --reason "wrong document"
    """
    from muster.entrypoints.cli.runs_work import cancel

    asyncio.run(cancel(run_id, reason))


@app.command("stop")
def stop_run(
    run_id: RunId,
    force: Annotated[bool, typer.Option("--force", help="Break the present step off.")] = False,
    reason: Reason = None,
) -> None:
    """Stop a run after its present step, and keep what it has reached.

    Example: muster runs stop 3f2a9c1b7d04
    """
    from muster.entrypoints.cli.runs_work import stop

    asyncio.run(stop(run_id, reason, force=force))


@app.command("resume")
def resume_run(run_id: RunId, as_json: AsJson = False, no_live: NoLive = False) -> None:
    """Go on with a run here: one that failed, was stopped or cancelled, or lost its process.

    Finished steps are not repeated.

    Example: muster runs resume 3f2a9c1b7d04
    """
    from muster.entrypoints.cli.executing import Style, execute
    from muster.entrypoints.cli.executing import resume_run as resume

    style = Style(json=as_json, live=not no_live)
    raise typer.Exit(asyncio.run(execute(lambda here: resume(here, run_id), style)))


@app.command("retry")
def retry_run(run_id: RunId, as_json: AsJson = False, no_live: NoLive = False) -> None:
    """Run the same again here as a new run, from the beginning.

    Example: muster runs retry 3f2a9c1b7d04
    """
    from muster.entrypoints.cli.executing import Style, execute
    from muster.entrypoints.cli.executing import retry_run as retry

    style = Style(json=as_json, live=not no_live)
    raise typer.Exit(asyncio.run(execute(lambda here: retry(here, run_id), style)))


@app.command("fork")
def fork_run(
    run_id: RunId,
    from_seq: Annotated[
        int, typer.Option("--from-seq", min=1, help="Number of the last step to keep.")
    ],
    inputs: Inputs = None,
    model: Model = None,
    as_json: AsJson = False,
    no_live: NoLive = False,
) -> None:
    """Start a new run here that shares the first steps of another.

    `muster runs show ID` numbers the steps.

    Example: muster runs fork 3f2a9c1b7d04 --from-seq 3 --model openai/gpt-5-mini
    """
    from muster.domains.work.runs import ForkRequest
    from muster.entrypoints.cli.executing import Style, execute
    from muster.entrypoints.cli.executing import fork_run as fork

    given = read_inputs(inputs)
    body = ForkRequest(from_seq=from_seq, inputs=given or None, model=model)
    style = Style(json=as_json, live=not no_live)
    raise typer.Exit(asyncio.run(execute(lambda here: fork(here, run_id, body), style)))
