"""`muster run`: the file of an agent, a crew or a workflow, executed here."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from muster.entrypoints.cli.options import AsJson, InProject, Inputs, Model, NoLive, read_inputs

ReadableFile = Annotated[
    Path,
    typer.Argument(
        help="The agent, crew or workflow, as YAML.",
        exists=True,
        dir_okay=False,
        readable=True,
        metavar="FILE",
    ),
]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        "-f",
        help="Text file for the run's workspace; may be given several times.",
        exists=True,
        dir_okay=False,
        readable=True,
        metavar="PATH",
    ),
]


def run(
    file: ReadableFile,
    inputs: Inputs = None,
    files: Files = None,
    model: Model = None,
    project: InProject = None,
    as_json: AsJson = False,
    no_live: NoLive = False,
) -> None:
    """Run the agent, crew or workflow of a YAML file here, and show every step as it happens.

    A file with `tasks` is a crew, one with `nodes` or `steps` a workflow, any other an agent. An
    agent is stored in the project (by default the superadmin's own), the run in the database: when
    this process dies, `muster runs resume` or the next server goes on where it stopped. Exit
    codes: 0 completed, 1 not completed, 3 waits for an approval, 130 left with Ctrl-C.

    Example: muster run examples/agents/document-analyst.yaml --file report.md
    --input question="What did the incident cost?"
    """
    from muster.entrypoints.cli.executing import FileRun, Style, execute, start_file

    wanted = FileRun(
        file=file, inputs=read_inputs(inputs), files=files or [], model=model, project=project
    )
    style = Style(json=as_json, live=not no_live)
    code = asyncio.run(execute(lambda here: start_file(here, wanted), style, make=True))
    raise typer.Exit(code)
