"""What a model is told when it shall write a definition."""

from collections.abc import Sequence

from muster.adapters.models import Message
from muster.domains.work.generation.offers import OfferedTool

_SHOWN_TOOLS = 100
_SHOWN_DESCRIPTION = 200

_AGENT = """You design one AI agent from a description.
Give it a short name, a role in a few words, a goal in one or two sentences, and a backstory of \
two to five sentences in the second person that says what it knows and how it works."""

_TASK = """You design one task for an AI agent from a description.
Give it a short name, a description that says step by step what is to be done, and an expected \
output that says exactly what must come of it."""

_CREW = """You design a crew of AI agents and their tasks from a description.
Use as few agents as the work needs, each with a clear part of it. Every agent has a key, a short \
name, a role, a goal and a backstory in the second person. Every task has a key, a name, a \
description, an expected output, the key of the agent that does it, and as context the keys of the \
earlier tasks whose results it needs. Tasks are in the order in which they are done. Texts may \
have placeholders such as {topic} for what differs from run to run."""

_WORKFLOW = """You design a workflow from a description: nodes, each of which names the next.
It begins at the one node of type start and ends at a node of type end. Names of nodes are lower \
case words joined by underscores. Types:
- llm: asks a model. `prompt`, optional `tools`.
- tool: calls a tool. `tool`, `arguments`.
- if: `condition`, and `then` and `otherwise` name the nodes that follow; it has no `next`.
- approval: a person decides. `title`, `message`.
- transform: `assign` maps variables to expressions.
`output` names the variable that keeps a node's result. In texts `{{ name }}` is replaced by a \
variable, `{{ nodes.some_node }}` by the result of a node. Expressions know comparisons, \
arithmetic, and, or, not, and len, lower, contains, join, default. `inputs` lists the variables \
that are given at the start, `result` the variable that is the result."""

INSTRUCTIONS = {"agent": _AGENT, "task": _TASK, "crew": _CREW, "workflow": _WORKFLOW}


def messages_for(
    what: str, description: str, tools: Sequence[OfferedTool], more: str = ""
) -> list[Message]:
    """Return the conversation that asks for a definition."""
    system = f"{INSTRUCTIONS[what]}\n\n{_tools(tools)}\n\nWrite in the description's language."
    text = f"{description}\n\n{more}" if more else description
    return [Message(role="system", content=system), Message(role="user", content=text)]


def again(reason: str) -> Message:
    """Return the turn that asks for a better answer."""
    return Message(
        role="user",
        content=f"This cannot be used. {reason}\nAnswer again with the whole definition, mended.",
    )


def _tools(tools: Sequence[OfferedTool]) -> str:
    if not tools:
        return "There are no tools; leave `tools` empty."
    lines = [
        f"- {tool.name}: {' '.join(tool.description.split())[:_SHOWN_DESCRIPTION]}"
        for tool in tools[:_SHOWN_TOOLS]
    ]
    return "\n".join(["Use only these tools, and only where they are needed:", *lines])
