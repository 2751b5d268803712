"""`muster approvals`: what runs ask of people."""

import asyncio
from typing import Annotated

import typer

from muster.entrypoints.cli.options import AsJson

app = typer.Typer(help="What runs ask of people.", no_args_is_help=True)

ApprovalId = Annotated[
    str, typer.Argument(help="Id of the approval; its beginning or end is enough.", metavar="ID")
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; the run's model is told.")]


@app.command("list")
def list_approvals(
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Those that were decided as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what waits for a decision, in all projects.

    Example: muster approvals list
    """
    from muster.entrypoints.cli.approvals_work import show_approvals

    asyncio.run(show_approvals(decided=all_of_them, as_json=as_json))


@app.command("approve")
def approve_approval(
    approval_id: ApprovalId,
    reason: Reason = None,
    arguments: Annotated[
        str | None,
        typer.Option("--arguments", help="Other arguments for the call, as JSON.", metavar="JSON"),
    ] = None,
    choice: Annotated[
        str | None,
        typer.Option("--choice", help="For an uncertain step: retry, skip or fail."),
    ] = None,
) -> None:
    """Say yes; the run goes on.

    Example: muster approvals approve 7c21e0b94f3a --arguments '{"path": "draft.md"}'
    """
    from muster.entrypoints.cli.approvals_work import say_yes

    asyncio.run(say_yes(approval_id, reason, arguments, choice))


@app.command("reject")
def reject_approval(
    approval_id: ApprovalId,
    reason: Reason = None,
    end_run: Annotated[
        bool, typer.Option("--end-run", help="End the run; else its model is told and goes on.")
    ] = False,
) -> None:
    """Say no.

    Example: muster approvals reject 7c21e0b94f3a --reason "the file is not ours"
    """
    from muster.entrypoints.cli.approvals_work import say_no

    asyncio.run(say_no(approval_id, reason, end_run=end_run))
