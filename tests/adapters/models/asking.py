"""Questions to the built-in model, asked without a provider."""

import json
from typing import Any

from muster.adapters.models.base import (
    Message,
    ModelReply,
    ModelRequest,
    ToolCall,
    ToolSpec,
)
from muster.adapters.models.extractive.model import reply_to

LEAGUE = (
    "The league joined merchant towns around the Baltic and the North Sea. It grew from the "
    "twelfth century on and had its peak around 1400, when nearly 200 towns belonged to it. Its "
    "merchants traded grain, timber, furs, salt and fish. The league had no standing army and no "
    "permanent officials. Its assembly met in Lübeck at irregular intervals. Competition from "
    "Dutch traders and from stronger states weakened it in the sixteenth century. The last "
    "assembly took place in 1669. Write to archive@league.example for copies."
)


def ask(question: str, *, tools: tuple[ToolSpec, ...] = (), **options: Any) -> ModelReply:
    messages = [Message(role="user", content=question)]
    return reply_to(ModelRequest(messages=messages, tools=tools, **options))


def after(
    question: str, call: ToolCall, result: Any, *, tools: tuple[ToolSpec, ...] = ()
) -> ModelReply:
    text = result if isinstance(result, str) else json.dumps(result)
    messages = [
        Message(role="user", content=question),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id=call.id, name=call.name, content=text),
    ]
    return reply_to(ModelRequest(messages=messages, tools=tools))


def calls(question: str, *tools: ToolSpec) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.arguments) for call in ask(question, tools=tools).tool_calls]
