"""`muster serve` and `muster worker`: the processes that stay."""

import gc
from typing import Annotated

import typer

from muster.entrypoints.cli.options import read_settings


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            "--host", help="Address to listen on; MUSTER_HOST, else 127.0.0.1.", metavar="HOST"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            help="Port to listen on, 0 for any; MUSTER_PORT, else 8000.",
            min=0,
            max=65535,
            metavar="PORT",
        ),
    ] = None,
    example: Annotated[
        bool,
        typer.Option("--example", help="Install the example project, and run its agent once."),
    ] = False,
) -> None:
    """Start the server: API, documentation and, unless told otherwise, the execution of runs.

    The first start makes the database and the superadmin, whose made-up password is printed once
    (MUSTER_ADMIN_EMAIL and MUSTER_ADMIN_PASSWORD set your own). Ctrl-C or SIGTERM stops the server
    within seconds; runs in flight go on with the next start. Exit codes: 1 the port or the data
    folder is taken, 2 the settings are refused.

    Example: muster serve --host 127.0.0.1 --port 8000 --example
    """
    # Nearly all that is made until the server answers stays: looking for garbage finds none.
    gc.disable()
    from muster.entrypoints.serving import serve as start

    start(read_settings(host=host, port=port), example=example)


def worker() -> None:
    """Execute runs and serve nobody: any number of workers share one PostgreSQL database.

    On SQLite the server executes the runs itself, and a worker is refused while one is up.

    Example: MUSTER_DATABASE_URL=postgresql://muster@db/muster muster worker
    """
    from muster.entrypoints.serving import work

    work(read_settings())
