"""`muster db`: the schema of the database."""

import asyncio

import typer

app = typer.Typer(help="The schema of the database.", no_args_is_help=True)


@app.command("upgrade")
def upgrade() -> None:
    """Bring the database to the newest schema; makes it where there is none.

    Example: muster db upgrade
    """
    from muster.entrypoints.cli.schema import show_upgrade

    asyncio.run(show_upgrade())


@app.command("current")
def current() -> None:
    """Say which schema the database has, and which is the newest. Exit code 1 when they differ.

    Example: muster db current
    """
    from muster.entrypoints.cli.schema import show_current

    raise typer.Exit(asyncio.run(show_current()))
