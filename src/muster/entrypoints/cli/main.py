"""The program `muster`: its commands, each of which loads what it needs when it is called."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from muster.entrypoints.cli import (
    agents_commands,
    approvals_commands,
    database_commands,
    product_commands,
    run_command,
    runs_commands,
    serve_commands,
    verify,
)
from muster.entrypoints.cli.failures import failure_of
from muster.entrypoints.cli.options import DATA_DIR
from muster.entrypoints.cli.terminal import tell

_ORDER = ["serve", "run", "runs", "approvals", "agents", "worker", "doctor", "db"]


class Commands(TyperGroup):
    """The commands; an expected error ends each of them with a text and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order in which one needs the commands."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else 99)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was called."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            text, code = failure
            tell(f"Error: {text}", style="red")
            raise typer.Exit(code) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it prints local variables, which may hold secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="Folder of the database, files and the master key; MUSTER_DATA_DIR, else .muster.",
            metavar="FOLDER",
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Muster: build, run, watch and govern AI agents.

    Commands work on the installation that the settings name (MUSTER_...), as its superadmin.

    Example: muster --data-dir /srv/muster serve --example
    """
    DATA_DIR.set(data_dir)


app.command("serve")(serve_commands.serve)
app.command("worker")(serve_commands.worker)
app.command("run")(run_command.run)
app.add_typer(runs_commands.app, name="runs")
app.add_typer(agents_commands.app, name="agents")
app.add_typer(approvals_commands.app, name="approvals")
app.command("doctor")(product_commands.doctor)
app.command("verify")(verify.verify)
app.add_typer(database_commands.app, name="db")
app.command("openapi")(product_commands.openapi)
app.command("version")(product_commands.version)
