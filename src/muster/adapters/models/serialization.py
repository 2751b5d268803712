"""Messages and replies as plain JSON objects, the stable form they have in the journal."""

from collections.abc import Mapping
from typing import Any

from muster.adapters.models.base import Message, ModelReply, Thinking, ToolCall, Usage

_USAGE_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def message_to_json(message: Message) -> dict[str, Any]:
    """Return the message as a JSON object; what is empty is left out, but role and content."""
    data: dict[str, Any] = {"role": message.role, "content": message.content}
    _add_parts(data, message.tool_calls, message.thinking)
    if message.tool_call_id is not None:
        data["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        data["name"] = message.name
    return data


def message_from_json(data: Mapping[str, Any]) -> Message:
    """Read what `message_to_json` wrote."""
    return Message(
        role=data["role"],
        content=data.get("content") or "",
        tool_calls=_tool_calls(data),
        thinking=_thinking(data),
        tool_call_id=data.get("tool_call_id"),
        name=data.get("name"),
    )


def reply_to_json(reply: ModelReply) -> dict[str, Any]:
    """Return the reply as a JSON object; `cost` is null where the price is not known."""
    data: dict[str, Any] = {"content": reply.content}
    _add_parts(data, reply.tool_calls, reply.thinking)
    data["usage"] = {name: getattr(reply.usage, name) for name in _USAGE_FIELDS}
    data["model"] = reply.model
    data["provider"] = reply.provider
    data["finish_reason"] = reply.finish_reason
    data["cost"] = reply.cost
    return data


def reply_from_json(data: Mapping[str, Any]) -> ModelReply:
    """Read what `reply_to_json` wrote."""
    usage: Mapping[str, int] = data.get("usage") or {}
    return ModelReply(
        content=data.get("content") or "",
        tool_calls=_tool_calls(data),
        thinking=_thinking(data),
        usage=Usage(**{name: usage.get(name, 0) for name in _USAGE_FIELDS}),
        model=data.get("model", ""),
        provider=data.get("provider", ""),
        finish_reason=data.get("finish_reason", "stop"),
        cost=data.get("cost"),
    )


def _add_parts(
    data: dict[str, Any], calls: tuple[ToolCall, ...], thinking: tuple[Thinking, ...]
) -> None:
    if calls:
        data["tool_calls"] = [_tool_call_to_json(call) for call in calls]
    if thinking:
        data["thinking"] = [_thinking_to_json(part) for part in thinking]


def _tool_call_to_json(call: ToolCall) -> dict[str, Any]:
    optional = {"raw": call.raw, "provider": call.provider, "extra": call.extra}
    required = {"id": call.id, "name": call.name, "arguments": call.arguments}
    return required | {name: value for name, value in optional.items() if value is not None}


def _thinking_to_json(part: Thinking) -> dict[str, Any]:
    optional = {"id": part.id, "signature": part.signature, "provider": part.provider}
    return {"content": part.content} | {
        name: value for name, value in optional.items() if value is not None
    }


def _tool_calls(data: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(
            id=call["id"],
            name=call["name"],
            arguments=call.get("arguments") or {},
            raw=call.get("raw"),
            provider=call.get("provider"),
            extra=call.get("extra"),
        )
        for call in data.get("tool_calls") or ()
    )


def _thinking(data: Mapping[str, Any]) -> tuple[Thinking, ...]:
    return tuple(
        Thinking(
            content=part.get("content") or "",
            id=part.get("id"),
            signature=part.get("signature"),
            provider=part.get("provider"),
        )
        for part in data.get("thinking") or ()
    )
