"""What the commands of `muster agents` do."""

from pathlib import Path

from sqlalchemy import select

from muster.domains.catalogue.agents import (
    Agent,
    AgentService,
    AgentSpec,
    configuration_status,
    read_yaml,
    write_yaml,
)
from muster.domains.catalogue.agents.presenting import present
from muster.entrypoints.cli.executing import store_agent
from muster.entrypoints.cli.local import opened
from muster.entrypoints.cli.options import read_text
from muster.entrypoints.cli.terminal import ago, say, show_json, show_table, shown_id, tell


async def show_agents(project: str | None, *, as_json: bool) -> None:
    """Print a list of agents."""
    async with opened() as installation:
        statement = select(Agent).where(Agent.deleted_at.is_(None))
        if project:
            within = await installation.project(project)
            statement = statement.where(Agent.project_id == within.id)
        async with installation.database.read() as session:
            agents = list(await session.scalars(statement.order_by(Agent.key, Agent.created_at)))
        projects = await installation.project_names()
    if as_json:
        show_json([present(agent).model_dump(mode="json") for agent in agents])
        return
    rows = [
        (
            shown_id(agent.id),
            agent.key,
            agent.name,
            projects.get(agent.project_id, "-"),
            agent.status,
            str(agent.spec.get("llm") or "-"),
            str(agent.version),
        )
        for agent in agents
    ]
    columns = ("ID", "KEY", "NAME", "PROJECT", "STATUS", "MODEL", "VERSION")
    show_table(columns, rows, empty="There are no agents. `muster agents import FILE` makes one.")


async def show_agent(reference: str, project: str | None, *, as_json: bool) -> None:
    """Print an agent and whether it can be run."""
    async with opened() as installation:
        agent = await installation.agent(reference, project)
        spec = AgentSpec.model_validate(agent.spec)
        muster = installation.muster
        status = await configuration_status(agent.project_id, spec, muster.models, muster.tools)
    if as_json:
        show_json(present(agent, status).model_dump(mode="json"))
        return
    say(f"{agent.name}  {agent.id}", style="bold")
    say(f"version {agent.version}, {agent.status}, changed {ago(agent.updated_at)}")
    say()
    say(write_yaml(spec).rstrip())
    say()
    if status.is_ready:
        say("It can be run.", style="green")
    for issue in status.issues:
        say(f"Lacks: {issue.message}", style="red")
    if status.placeholders:
        say(f"Inputs: {', '.join(status.placeholders)}")


async def import_agent(file: Path, project: str | None) -> None:
    """Store the agent of a file."""
    spec = read_yaml(read_text(file))
    async with opened() as installation:
        within = await installation.project(project)
        agent = await store_agent(installation, await installation.caller(within.id), spec)
    say(f"{agent.key} is version {agent.version} in {within.name} ({agent.id}).")


async def export_agent(reference: str, project: str | None) -> None:
    """Print the file of an agent."""
    async with opened() as installation:
        agent = await installation.agent(reference, project)
    say(write_yaml(AgentSpec.model_validate(agent.spec)).rstrip())


async def turn(reference: str, project: str | None, *, started: bool) -> None:
    """Start or stop an agent."""
    async with opened() as installation:
        agent = await installation.agent(reference, project)
        caller = await installation.caller(agent.project_id)
        async with installation.database.write() as session:
            agents = AgentService(session, caller, installation.muster.master_key)
            agent = await (agents.start(agent.id) if started else agents.stop(agent.id))
    say(f"{agent.key} is {agent.status}.")
    if not started:
        tell("What it is doing goes on; `muster runs list --agent` shows it.")
