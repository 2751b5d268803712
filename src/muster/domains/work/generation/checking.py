"""From what a model wrote to definitions that hold together, or to what is wrong with it."""

from typing import Any

from muster.domains.catalogue.agents import slug
from muster.domains.work.generation.drafts import AgentDraft, CrewDraft, TaskDraft
from muster.domains.work.generation.offers import Offers
from muster.domains.work.plans import CrewMember, CrewSpec, TaskSpec


class Unfit(ValueError):
    """An answer that cannot be used; the text says why, to the model that gave it."""


def agent_of(draft: AgentDraft, offers: Offers) -> dict[str, Any]:
    """Return the definition of an agent, which the agents' API takes as it is."""
    return {
        "name": draft.name,
        "role": draft.role,
        "goal": draft.goal,
        "backstory": draft.backstory,
        "llm": draft.llm,
        "tools": offers.fitting(draft.tools),
    }


def task_of(draft: TaskDraft, offers: Offers) -> dict[str, Any]:
    """Return the definition of a task."""
    return {
        "name": draft.name,
        "description": draft.description,
        "expected_output": draft.expected_output,
        "tools": offers.fitting(draft.tools),
    }


def crew_of(draft: CrewDraft, offers: Offers) -> dict[str, Any]:
    """Return the definition of a crew.

    Raises:
        Unfit: Two agents or tasks have one key, or a task names an agent that there is not.
    """
    agents = {_key(member.key): member for member in draft.agents}
    if len(agents) < len(draft.agents):
        raise Unfit("agents: every agent needs a key of its own.")
    called = {name.lower(): key for key, member in agents.items() for name in (member.name,)}
    called |= {member.key.lower(): key for key, member in agents.items()}
    called |= {key: key for key in agents}
    tasks: dict[str, dict[str, Any]] = {}
    for task in draft.tasks:
        key = _key(task.key)
        if key in tasks:
            raise Unfit(f"tasks: every task needs a key of its own; {task.key!r} is there twice.")
        agent = called.get(task.agent.lower()) or called.get(_key(task.agent))
        if agent is None:
            raise Unfit(
                f"tasks: {task.key!r} names the agent {task.agent!r}; the agents are "
                f"{', '.join(agents)}."
            )
        context: dict[str, None] = {}
        for reference in map(_key, task.context):
            if reference in tasks:
                context[reference] = None
            else:
                offers.warn(
                    f"The task {key} named {reference!r} as its context, which is no earlier task; "
                    "it was left out."
                )
        tasks[key] = {
            "key": key,
            **task_of(task, offers),
            "agent": agent,
            "context": list(context),
        }
    return {
        "name": draft.name,
        "description": draft.description or None,
        "process": draft.process,
        "agents": [{"key": key, **agent_of(member, offers)} for key, member in agents.items()],
        "tasks": list(tasks.values()),
    }


def require_crew(crew: dict[str, Any]) -> None:
    """Read a crew as the executor of crews does; raises when it cannot be read."""
    members = [
        CrewMember.model_validate({"key": agent["key"], "definition": _without_key(agent)})
        for agent in crew["agents"]
    ]
    tasks = [TaskSpec.model_validate(task) for task in crew["tasks"]]
    CrewSpec(name=crew["name"], process=crew["process"], agents=members, tasks=tasks)


def by_key(things: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return agents or tasks in the notation by key."""
    return {thing["key"]: _without_key(thing) for thing in things}


def _without_key(thing: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name != "key"}


def _key(text: str) -> str:
    return slug(text).replace("-", "_")
