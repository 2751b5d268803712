"""`muster agents`: agents and their files."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from muster.entrypoints.cli.options import AsJson, InProject

app = typer.Typer(help="Agents and their files.", no_args_is_help=True)

AgentRef = Annotated[str, typer.Argument(help="Id, key or name of the agent.", metavar="AGENT")]


@app.command("list")
def list_agents(project: InProject = None, as_json: AsJson = False) -> None:
    """List the agents of all projects.

    Example: muster agents list --project Example
    """
    from muster.entrypoints.cli.agents_work import show_agents

    asyncio.run(show_agents(project, as_json=as_json))


@app.command("show")
def show_agent(agent: AgentRef, project: InProject = None, as_json: AsJson = False) -> None:
    """Show an agent and what it lacks to be run.

    Example: muster agents show document-analyst
    """
    from muster.entrypoints.cli.agents_work import show_agent as show

    asyncio.run(show(agent, project, as_json=as_json))


@app.command("import")
def import_agent(
    file: Annotated[Path, typer.Argument(help="The agent, as YAML.", exists=True, dir_okay=False)],
    project: InProject = None,
) -> None:
    """Create the agent of a file, or change the one that has its key.

    Example: muster agents import analyst.yaml --project Example
    """
    from muster.entrypoints.cli.agents_work import import_agent as import_

    asyncio.run(import_(file, project))


@app.command("export")
def export_agent(agent: AgentRef, project: InProject = None) -> None:
    """Print an agent as YAML, as `import` and `muster run` read it.

    Example: muster agents export document-analyst > analyst.yaml
    """
    from muster.entrypoints.cli.agents_work import export_agent as export

    asyncio.run(export(agent, project))


@app.command("start")
def start_agent(agent: AgentRef, project: InProject = None) -> None:
    """Let an agent take tasks from its queue. It can be run directly without.

    Example: muster agents start document-analyst
    """
    from muster.entrypoints.cli.agents_work import turn

    asyncio.run(turn(agent, project, started=True))


@app.command("stop")
def stop_agent(agent: AgentRef, project: InProject = None) -> None:
    """Let an agent take no more tasks; what it is doing goes on.

    Example: muster agents stop document-analyst
    """
    from muster.entrypoints.cli.agents_work import turn

    asyncio.run(turn(agent, project, started=False))
