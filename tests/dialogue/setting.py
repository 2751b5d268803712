"""Small moves that the tests of what agents say to each other share."""

from typing import Any

from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.tools import ToolContext
from muster.entrypoints.assembly import Muster
from tests.support.people import People


async def make_agent(people: People, name: str, **fields: Any) -> dict[str, Any]:
    body = {"name": name, "llm": "builtin/extractive", **fields}
    answer = await people.editor.post("/agents", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def as_agent(people: People, agent: dict[str, Any], step: str = "s") -> ToolContext:
    """Return the context of a step in which an agent calls a tool."""
    return ToolContext(
        project_id=people.project_id, run_id=f"run-{agent['key']}", agent_id=agent["id"]
    ).for_step(step)


async def act(muster: Muster, context: ToolContext, name: str, /, **arguments: Any) -> ToolOutcome:
    tools = await muster.tools.bind(context.project_id, [name], {})
    return await tools[0].call(arguments, context)
