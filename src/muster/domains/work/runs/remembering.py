"""What an agent remembers of earlier runs, told to its model before the first thought."""

from dataclasses import replace
from typing import Any

from muster.adapters.models import ToolCall
from muster.domains.catalogue.agents import AgentSpec
from muster.domains.catalogue.memories import has_memories
from muster.domains.work.runs.parts import RunParts
from muster.domains.work.runs.prompting import Prompt
from muster.domains.work.runs.steps import StepRunner, ToolUse

_KEY, _FIRST_THOUGHT = "recall", "m1"
_TOOL = "recall"
_MOST = 5
_LONGEST_QUERY, _LONGEST = 500, 4_000
_OPEN, _CLOSE = '<context title="What you remember from earlier work">', "</context>"


async def with_memories(
    parts: RunParts, runner: StepRunner, spec: AgentSpec, prompt: Prompt
) -> Prompt:
    """Return the prompt with the memories of the agent that fit it best.

    They are recalled by the tool of this name, in a step of its own: the gate judges it, the trace
    shows it, and a run that is taken up again tells its model the same.
    """
    memory = runner.memory
    if memory.finished(_KEY) is None:
        # A run whose model was asked without memories goes on without.
        begun = memory.times(_FIRST_THOUGHT) > 0
        if begun or not spec.memory or memory.agent_id is None or not prompt.user.strip():
            return prompt
        if not await has_memories(parts.database, memory.agent_id):
            return prompt
    (tool,) = await parts.tools.bind(memory.project_id, [_TOOL], {})
    if tool.kind != "builtin":
        return prompt  # a tool of the project's own with this name does something else
    query = prompt.user.strip()[:_LONGEST_QUERY]
    call = ToolCall(id=_KEY, name=tool.name, arguments={"query": query, "limit": _MOST})
    outcome = await runner.act(
        ToolUse(key=_KEY, parent_key="start", iteration=0, call=call, tool=tool)
    )
    return prompt if outcome.is_error else _told(prompt, outcome.content["memories"])


def _told(prompt: Prompt, memories: list[dict[str, Any]]) -> Prompt:
    lines: list[str] = []
    left = _LONGEST
    for memory in memories:
        left -= len(memory["content"])
        if left < 0:
            break
        # What was remembered stays a quotation, whatever it says.
        lines.append(f"- {memory['content'].replace(_CLOSE, '')}")
    if not lines:
        return prompt
    quoted = "\n".join((_OPEN, *lines, _CLOSE))
    return replace(prompt, user=f"{prompt.user}\n\n{quoted}")
